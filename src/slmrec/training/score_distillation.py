"""Distillation by scores: any student follows any teachers, several of them together (`losses/taught.py`).

    loss = w_ce L_ce + L_kl

Both over the same candidates: the step's targets and items drawn uniformly, others in every step; or the whole
catalogue where it is no larger. So a student is scored once a step, and a fraction of the catalogue costs what it
costs. The teachers run beside the student, or where the whole catalogue takes part once before it: their scores of all
items at all targets are kept on disk (`kept.py`).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from slmrec.data import Catalogue
from slmrec.data.batches import IGNORED, Example
from slmrec.engine import device_of
from slmrec.errors import UserError
from slmrec.losses import taught_loss
from slmrec.models import DotProductRecommender, Ensemble, Recommender, SLMRec
from slmrec.models.folder import fingerprint
from slmrec.training.distillation import check_catalogue
from slmrec.training.kept import Kept, keep
from slmrec.training.modules import TrainingModule, scored_table
from slmrec.training.options import DistillationOptions
from slmrec.training.top_items import top_items_parts


class ScoreDistillation(TrainingModule):
    """A student beside its teachers."""

    def __init__(
        self,
        student: DotProductRecommender,
        teachers: Ensemble,
        options: DistillationOptions,
    ) -> None:
        super().__init__(student)
        self.distillation = options
        self._teachers = (teachers,)  # in a tuple: no part of what is trained and saved
        teachers.requires_grad_(False).eval()

    def parts(self, input_ids: Tensor, lengths: Tensor, labels: Tensor, **extra: Tensor) -> dict[str, Tensor]:
        valid = labels != IGNORED
        targets = labels[valid]
        states = self.model(input_ids, lengths)[valid]  # (P, d)
        table = scored_table(self.model)
        candidates = self._candidates(targets, len(table) - 1)  # (C,)
        if "teacher" in extra:
            theirs = extra["teacher"]
        else:
            batch = {"input_ids": input_ids, "lengths": lengths, "labels": labels}
            theirs = scores_together(self._teachers[0], batch, candidates)
        return self.compare(states, table[candidates], torch.searchsorted(candidates, targets), theirs)

    def compare(self, states: Tensor, vectors: Tensor, targets: Tensor, theirs: Tensor) -> dict[str, Tensor]:
        """The loss of user vectors (P, d), candidates' vectors (C, d), targets' places (P,) and teachers (P, C)."""
        options = self.distillation
        if options.top_items:
            return top_items_parts(states, vectors, targets, theirs.float(), options)
        return taught_loss(
            states, vectors, targets, theirs, cross_entropy=options.cross_entropy, temperature=options.temperature
        )

    def _candidates(self, targets: Tensor, num_items: int) -> Tensor:
        """Item indices in rising order, the targets among them."""
        drawn = self.distillation.candidates
        if drawn >= num_items:
            return all_items(num_items, targets.device)
        return torch.cat([targets, torch.randint(1, num_items + 1, (drawn,), device=targets.device)]).unique()


def teacher_scores(
    teachers: Ensemble,
    examples: Sequence[Example],
    folder: Path,
    progress: Callable[[int, int, str], None] | None = None,
) -> Kept:
    """(T, N) the teachers' scores together of all N items at T targets, below each target's best one; see `keep`."""
    device = device_of()
    items = all_items(len(teachers.catalogue), device)

    def compute(batch: dict[str, Any]) -> Tensor:
        scores = scores_together(teachers, {name: tensor.to(device) for name, tensor in batch.items()}, items)
        return scores - scores.amax(dim=1, keepdim=True)  # 16 bits are finest near zero, where the likely items are

    teachers.eval()
    facts = {"teachers": [fingerprint(teacher) for teacher in teachers.members], "weights": teachers.weights}
    return keep(compute, (len(items),), facts, examples, folder, progress)


def scores_together(teachers: Ensemble, batch: dict[str, Any], candidates: Tensor) -> Tensor:
    """(P, C) float32: the teachers' scores of (C,) items at a batch's P targets."""
    nn.Module.to(teachers, batch["labels"].device)
    valid = batch["labels"] != IGNORED
    return teachers.position_scores(batch["input_ids"], batch["lengths"], candidates)[valid]


def all_items(num_items: int, device: torch.device | None = None) -> Tensor:
    """(N,) the indices of all items."""
    return torch.arange(1, num_items + 1, device=device)


def check_teachers(teachers: Sequence[Recommender], catalogue: Catalogue, max_length: int) -> None:
    """Refuse teachers that cannot score what the student is trained on.

    Raises:
        UserError: none, one of other items, one that reads a history once only, or one that reads less of it.
    """
    if not teachers:
        raise UserError("no teacher was given")
    for teacher in teachers:
        check_catalogue(teacher, catalogue)
        if isinstance(teacher, Ensemble):
            check_teachers(list(teacher.members), catalogue, max_length)
            continue
        if not teacher.scores_every_position:
            reading = " that reads 'last-prompt-token'" if isinstance(teacher, SLMRec) else ""
            raise UserError(
                f"a teacher is of kind {teacher.kind}{reading} and scores one position a history; form 'scores' needs "
                "teachers that score every position: popularity, item-knn, sequential-rules, text-knn, gru4rec, caser, "
                "sasrec, esasrec, or an llm that reads 'every-position'"
            )
        if teacher.config.max_length < max_length:
            raise UserError(
                f"a teacher of kind {teacher.kind} reads {teacher.config.max_length} items, the student {max_length}; "
                f"give the student --max-length {teacher.config.max_length} or less"
            )
