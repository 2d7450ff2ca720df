"""The teacher's block-end states for every training target, computed once and kept on disk.

A distillation of E epochs would run the teacher E times over the same sequences; from the second epoch on, reading is
cheaper. The folder remembers what it was computed from and is used only for that.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slmrec.data.batches import IGNORED, Example, LengthBatches, collate
from slmrec.files import read_json, whole_folder, write_json
from slmrec.models import SLMRec
from slmrec.models.folder import fingerprint

MARKER = "teacher_states.json"
BATCH = 64


class TeacherStates:
    """(T, K, D) float16 on disk, memory-mapped: T targets of all examples in order, K block ends."""

    def __init__(self, folder: Path) -> None:
        self.facts = read_json(folder / MARKER, "folder of teacher states")
        self.states = np.load(folder / "states.npy", mmap_mode="r")
        self.offsets = np.load(folder / "offsets.npy")

    def __getitem__(self, index: int) -> np.ndarray:
        """(R, K, D) of one example."""
        return self.states[self.offsets[index] : self.offsets[index + 1]]


def teacher_states(
    teacher: SLMRec,
    examples: Sequence[Example],
    layers: Sequence[int],
    folder: Path,
    progress: Callable[[int, int, str], None] | None = None,
) -> TeacherStates:
    """The states after ``layers`` of the teacher, from ``folder`` where it holds these very ones, else computed."""
    facts = {"teacher": fingerprint(teacher), "examples": _digest(examples), "layers": list(layers)}
    if (folder / MARKER).exists():
        kept = TeacherStates(folder)
        if kept.facts == facts:
            return kept
    sizes = [len(example.targets) for example in examples]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    with whole_folder(folder, MARKER) as scratch:
        shape = (int(offsets[-1]), len(layers), teacher.backbone.config.hidden_size)
        states = np.lib.format.open_memmap(scratch / "states.npy", mode="w+", dtype=np.float16, shape=shape)
        teacher.eval()
        done = 0
        for batch in LengthBatches([len(example.inputs) for example in examples], BATCH):
            tensors = collate([examples[i] for i in batch])
            block_ends = block_end_states(teacher, tensors, layers)  # (K, P, D)
            if block_ends.abs().max() > torch.finfo(torch.float16).max:
                raise FloatingPointError("a teacher state is beyond what 16 bits hold; compute the teacher alongside")
            rows = np.concatenate([np.arange(offsets[i], offsets[i + 1]) for i in batch])
            states[rows] = block_ends.transpose(0, 1).half().cpu().numpy()
            done += len(batch)
            if progress:
                progress(done, len(examples), "teacher states")
        states.flush()
        np.save(scratch / "offsets.npy", offsets)
        write_json(scratch / MARKER, facts)
    return TeacherStates(folder)


@torch.no_grad()
def block_end_states(teacher: SLMRec, batch: Any, layers: Sequence[int]) -> Tensor:
    """(K, P, D): the teacher's states after ``layers`` at the P targets of a batch, row by row."""
    device = teacher.device
    states = teacher.hidden(batch["input_ids"].to(device), batch["lengths"].to(device), layers)  # (K, B, R, D)
    return states[:, batch["labels"].to(device) != IGNORED]


def _digest(examples: Sequence[Example]) -> str:
    digest = hashlib.sha256()
    for example in examples:
        digest.update(example.inputs.tobytes() + b"|" + example.targets.tobytes() + b"\n")
    return digest.hexdigest()
