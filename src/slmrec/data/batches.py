"""From a data set to training batches: windows of histories, batches of similar length, padding on the right."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from slmrec.data.dataset import Dataset
from slmrec.runtime.catalogue import PADDING

IGNORED = -100
"""Label of a position without a target; transformers counts the others."""

BUCKET_BATCHES = 32
"""Batches whose sequences are sorted by length together: little padding, yet another mix every epoch."""


@dataclass(frozen=True)
class Example:
    """One training sequence."""

    inputs: np.ndarray
    """(L,) int32 item indices, oldest first."""
    targets: np.ndarray
    """(R,) int32: the item after each input (R = L), or after the last one only (R = 1)."""
    teacher: np.ndarray | None = None
    """(R, K, D) float16: a teacher's block-end states at the targets, where there is a teacher."""


Supervise = Literal["every-position", "last-position"]


def training_examples(data: Dataset, max_length: int, supervise: Supervise) -> list[Example]:
    """Cut the training split into sequences.

    "every-position": each user's events in consecutive windows, counted from the newest, so that every event but a
    user's first is a target exactly once. "last-position": one target a user, the last event of the training split.
    """
    examples = []
    for events in data.train_sequences():
        if len(events) < 2:
            continue
        if supervise == "last-position":
            examples.append(Example(events[:-1][-max_length:], events[-1:]))
            continue
        for end in range(len(events), 1, -max_length):
            start = max(0, end - max_length - 1)
            examples.append(Example(events[start : end - 1], events[start + 1 : end]))
    return examples


class LengthBatches(Sampler[list[int]]):
    """Batches of indices of sequences with similar lengths, in an order that the seed and the epoch fix.

    A batch of ``batch_size`` is yielded in ``pieces`` consecutive parts, so that gradient accumulation sees the very
    batches that a single piece would hold.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, pieces: int = 1, seed: int = 0) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.piece = batch_size // pieces
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration follows."""
        self.epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.lengths), self.batch_size)
        return whole * (self.batch_size // self.piece) + -(-rest // self.piece)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(len(self.lengths))
        whole = len(order) // self.batch_size * self.batch_size
        rest, order = order[whole:], order[:whole]  # drawn before sorting: no length is always left for last
        bucket = self.batch_size * BUCKET_BATCHES
        batches = []
        for start in range(0, whole, bucket):
            part = order[start : start + bucket]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batches += [part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        for batch in [*(batches[i] for i in rng.permutation(len(batches))), rest]:
            yield from (batch[i : i + self.piece].tolist() for i in range(0, len(batch), self.piece))


def pad(rows: Sequence[np.ndarray], value: int) -> Tensor:
    """(B, L) int64, filled up on the right."""
    padded = np.full((len(rows), max(map(len, rows))), value, dtype=np.int64)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    return torch.from_numpy(padded)


def collate(examples: Sequence[Example]) -> dict[str, Any]:
    """A batch: `input_ids` (B, L), `lengths` (B,), `labels` (B, R) with `IGNORED` where there is no target.

    With a teacher also `teacher` (P, K, D), its states at the batch's P targets, row by row.
    """
    taught = [example.teacher for example in examples if example.teacher is not None]
    extra = {"teacher": torch.from_numpy(np.concatenate(taught))} if taught else {}
    return {
        **extra,
        "input_ids": pad([example.inputs for example in examples], PADDING),
        "lengths": torch.tensor([len(example.inputs) for example in examples]),
        "labels": pad([example.targets for example in examples], IGNORED),
    }
