"""Distillation by scores: any student follows any teachers, several of them together (`losses/taught.py`).

    loss = w_ce L_ce + L_kl

Both over the same candidates: the step's targets and items drawn uniformly, others in every step; or the whole
catalogue where it is no larger. So a student is scored once a step, and a fraction of the catalogue costs what it
costs. The teachers run beside the student: classic ones cost next to nothing.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from slmrec.data import Catalogue
from slmrec.data.batches import IGNORED
from slmrec.errors import UserError
from slmrec.losses import taught_loss
from slmrec.models import DotProductRecommender, Recommender, SLMRec
from slmrec.training.distillation import check_catalogue
from slmrec.training.modules import TrainingModule, item_table
from slmrec.training.options import DistillationOptions


class ScoreDistillation(TrainingModule):
    """A student beside its teachers."""

    def __init__(
        self,
        student: DotProductRecommender,
        teachers: Sequence[Recommender],
        options: DistillationOptions,
    ) -> None:
        super().__init__(student)
        self.distillation = options
        # In a tuple: no part of what is trained and saved.
        self._teachers = tuple(teacher.requires_grad_(False).eval() for teacher in teachers)

    def parts(self, input_ids: Tensor, lengths: Tensor, labels: Tensor, **extra: Tensor) -> dict[str, Tensor]:
        valid = labels != IGNORED
        targets = labels[valid]
        states = self.model(input_ids, lengths)[valid]  # (P, d)
        table = item_table(self.model).table()
        candidates = self._candidates(targets, len(table) - 1)  # (C,)
        with torch.no_grad():
            theirs = states.new_zeros(len(targets), len(candidates), dtype=torch.float32)
            for teacher in self._teachers:
                teacher.to(input_ids.device)
                theirs += teacher.position_scores(input_ids, lengths, candidates)[valid]
            theirs /= len(self._teachers)
        return taught_loss(
            states,
            table[candidates],
            torch.searchsorted(candidates, targets),
            theirs,
            cross_entropy=self.distillation.cross_entropy,
            temperature=self.distillation.temperature,
        )

    def _candidates(self, targets: Tensor, num_items: int) -> Tensor:
        """Item indices in rising order, the targets among them."""
        drawn = self.distillation.candidates
        if drawn >= num_items:
            return torch.arange(1, num_items + 1, device=targets.device)
        return torch.cat([targets, torch.randint(1, num_items + 1, (drawn,), device=targets.device)]).unique()


def check_teachers(teachers: Sequence[Recommender], catalogue: Catalogue, max_length: int) -> None:
    """Refuse teachers that cannot score what the student is trained on.

    Raises:
        UserError: none, one of other items, one that reads a history once only, or one that reads less of it.
    """
    if not teachers:
        raise UserError("no teacher was given")
    for teacher in teachers:
        check_catalogue(teacher, catalogue)
        if not teacher.scores_every_position:
            reading = " that reads 'last-prompt-token'" if isinstance(teacher, SLMRec) else ""
            raise UserError(
                f"a teacher is of kind {teacher.kind}{reading} and scores one position a history; form 'scores' needs "
                "teachers that score every position: popularity, item-knn, gru4rec, caser, sasrec, esasrec, or an llm "
                "that reads 'every-position'"
            )
        if teacher.config.max_length < max_length:
            raise UserError(
                f"a teacher of kind {teacher.kind} reads {teacher.config.max_length} items, the student {max_length}; "
                f"give the student --max-length {teacher.config.max_length} or less"
            )
