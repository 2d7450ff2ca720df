"""What teachers say at every training target, computed once and kept on disk.

A distillation of E epochs would run the teachers E times over the same sequences; from the second epoch on, reading is
cheaper. The folder remembers what it was computed from and is used only for that.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor

from slmrec.data.batches import Example, LengthBatches, collate
from slmrec.files import read_json, whole_folder, write_json
from slmrec.training.options import DistillationOptions, TrainingOptions

MARKER = "kept.json"
BATCH = 64


class Kept:
    """(T, …) float16 on disk, memory-mapped: T targets of all examples in order."""

    def __init__(self, folder: Path) -> None:
        self.facts = read_json(folder / MARKER, "folder of what teachers say")
        self.values = np.load(folder / "values.npy", mmap_mode="r")
        self.offsets = np.load(folder / "offsets.npy")

    def __getitem__(self, index: int) -> np.ndarray:
        """(R, …) of one example."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]


def keep(
    compute: Callable[[dict[str, Any]], Tensor],
    shape: Sequence[int],
    facts: dict[str, Any],
    examples: Sequence[Example],
    folder: Path,
    progress: Callable[[int, int, str], None] | None = None,
) -> Kept:
    """What teachers say at each target, from ``folder`` where it holds this very thing, else computed.

    Args:
        compute: a batch to (P, …) float, what they say at its P targets, row by row.
        shape: the … of one target.
        facts: what tells these teachers, and what they are asked, from all others.
        examples: training sequences.
        folder: made anew where it holds something else.
        progress: told after every batch.

    Raises:
        FloatingPointError: a value that 16 bits do not hold.
    """
    facts = {**facts, "examples": _digest(examples)}
    # Of a torchrun's processes the first makes it, and the others find it there.
    with PartialState(cpu=not torch.accelerator.is_available()).main_process_first():
        if (folder / MARKER).exists():
            kept = Kept(folder)
            if kept.facts == facts:
                return kept
        offsets = np.concatenate([[0], np.cumsum([len(example.targets) for example in examples])])
        with whole_folder(folder, MARKER) as scratch:
            values = np.lib.format.open_memmap(
                scratch / "values.npy", mode="w+", dtype=np.float16, shape=(int(offsets[-1]), *shape)
            )
            done = 0
            for batch in LengthBatches([len(example.inputs) for example in examples], BATCH):
                found = compute(collate([examples[i] for i in batch]))
                if found.abs().max() > torch.finfo(torch.float16).max:
                    raise FloatingPointError("what a teacher says is beyond 16 bits; compute it alongside")
                rows = np.concatenate([np.arange(offsets[i], offsets[i + 1]) for i in batch])
                values[rows] = found.half().cpu().numpy()
                done += len(batch)
                if progress:
                    progress(done, len(examples), "teachers")
            values.flush()
            np.save(scratch / "offsets.npy", offsets)
            write_json(scratch / MARKER, facts)
    return Kept(folder)


def keeping_pays(
    distillation: DistillationOptions, training: TrainingOptions, examples: Sequence[Example], values: int
) -> bool:
    """Whether to keep ``values`` numbers a target on disk: from two epochs on, where they fit."""
    if distillation.online:
        return False  # what the teacher says changes with every step
    if distillation.teacher_states != "auto":
        return distillation.teacher_states == "cached"
    gigabytes = sum(len(example.targets) for example in examples) * values * 2 / 1e9
    return expected_epochs(training) > 1 and gigabytes <= distillation.cache_gigabytes


def expected_epochs(training: TrainingOptions) -> int:
    """Epochs, or two where steps end the training: their number tells it is more than a trial."""
    return training.epochs if training.max_steps < 1 else 2


@dataclass(frozen=True)
class TaughtExamples(Sequence[Example]):
    """Examples with what the teachers say at their targets, read when an example is."""

    examples: Sequence[Example]
    kept: Kept

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index):
        return replace(self.examples[index], teacher=self.kept[index])


def _digest(examples: Sequence[Example]) -> str:
    digest = hashlib.sha256()
    for example in examples:
        digest.update(example.inputs.tobytes() + b"|" + example.targets.tobytes() + b"\n")
    return digest.hexdigest()
