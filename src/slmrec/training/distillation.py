"""Offline distillation of the paper: a frozen deep teacher, a student of its first layers, matched block by block.

The teacher's M layers and the student's N are both cut into B blocks; the states after each block are compared by
`slmrec_objective`. They are compared in the raw residual stream, the last block's too. The published code compares
the last block after its final norm and the inner ones before it: `form="published"` does the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from slmrec.data.batches import IGNORED, Example
from slmrec.errors import UserError
from slmrec.losses import slmrec_objective
from slmrec.models import SLMRec
from slmrec.training.modules import TrainingModule
from slmrec.training.teacher_states import TeacherStates, block_end_states


@dataclass(frozen=True)
class DistillationOptions:
    """How the teacher's states pull the student's."""

    blocks: int = 4
    """Blocks that teacher and student are both cut into (the paper's B)."""
    lambda1: float = 1.0
    """Weight of 1 - D_cos, the cosine distance of block ends."""
    lambda2: float = 0.1
    """Weight of D_norm, the squared L2 distance of block ends."""
    lambda3: float = 0.1
    """Weight of L_ms, the cross-entropy of the inner blocks."""
    form: Literal["paper", "published"] = "paper"
    """The paper's equations, or its published code: sums over blocks, unsquared distance, last block after its norm."""
    start: Literal["pretrained", "teacher-adapters"] = "pretrained"
    """Where the student's adapters and item table begin: afresh, or as the teacher left them."""
    teacher_states: Literal["auto", "cached", "alongside"] = "auto"
    """Teacher states from a cache on disk, computed in every step, or whichever is faster (and fits)."""
    cache_gigabytes: float = 16.0
    """Largest cache that "auto" makes."""

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise UserError(f"blocks is {self.blocks}, but must be at least 1")
        for name in ("lambda1", "lambda2", "lambda3"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} is {getattr(self, name)}, but a loss weight cannot be negative")


def block_ends(layers: int, blocks: int, whose: str) -> list[int]:
    """Layers after which the blocks end: m, 2m, …, layers.

    Raises:
        UserError: the layers do not divide into the blocks.
    """
    if layers % blocks:
        divisors = [b for b in range(1, layers + 1) if layers % b == 0]
        raise UserError(
            f"the {whose} has {layers} layers and {blocks} blocks were asked for: {layers} is not a multiple of "
            f"{blocks}; use {', '.join(map(str, divisors[:-1]))} or {divisors[-1]} blocks"
            if len(divisors) > 1
            else f"the {whose} has 1 layer and {blocks} blocks were asked for; use 1 block"
        )
    return list(range(layers // blocks, layers + 1, layers // blocks))


def check_pair(teacher: SLMRec, student_layers: int, blocks: int) -> None:
    """Refuse a student that this teacher cannot teach.

    Raises:
        UserError: the student is deeper, or either does not divide into the blocks.
    """
    if student_layers > teacher.num_layers:
        raise UserError(
            f"the student has {student_layers} layers, the teacher {teacher.num_layers}: a student cannot be deeper "
            "than its teacher"
        )
    block_ends(teacher.num_layers, blocks, "teacher")
    block_ends(student_layers, blocks, "student")


class Distillation(TrainingModule):
    """The paper's objective for a student beside its teacher's states.

    Besides the student it trains one adapter for each inner block (the paper's W_a), which is left behind afterwards.
    Inner blocks are read as the last one is: final norm, then the block's own adapter. The published code leaves out
    the norm there.
    """

    model: SLMRec

    def __init__(self, student: SLMRec, teacher: SLMRec, options: DistillationOptions) -> None:
        super().__init__(student)
        check_pair(teacher, student.num_layers, options.blocks)
        check_same_space(teacher, student)
        self.options = options
        self.layers = block_ends(student.num_layers, options.blocks, "student")
        self.teacher_layers = block_ends(teacher.num_layers, options.blocks, "teacher")
        self.inner_adapters = nn.ModuleList(
            nn.Linear(student.output_adapter.in_features, student.config.item_dim) for _ in self.layers[:-1]
        )
        self._teacher = (teacher.requires_grad_(False).eval(),)  # in a tuple: no part of what is trained and saved

    def parts(self, input_ids: Tensor, lengths: Tensor, labels: Tensor, **extra: Tensor) -> dict[str, Tensor]:
        valid = labels != IGNORED
        student = self.model.hidden(input_ids, lengths, self.layers)[:, valid]  # (K, P, D)
        if "teacher" in extra:
            teacher = extra["teacher"].transpose(0, 1).to(student.dtype)  # (K, P, D)
        else:
            self._teacher[0].to(student.device)
            batch = {"input_ids": input_ids, "lengths": lengths, "labels": labels}
            teacher = block_end_states(self._teacher[0], batch, self.teacher_layers)
        published = self.options.form == "published"
        inner = [
            adapter(states if published else self.model.final_norm(states))
            for adapter, states in zip(self.inner_adapters, student, strict=False)
        ]
        final = self.model.read_out(student[-1])
        if published:
            student = torch.cat([student[:-1], self.model.final_norm(student[-1:])])
            teacher = torch.cat([teacher[:-1], self._teacher[0].final_norm(teacher[-1:])])
        return slmrec_objective(
            teacher,
            student,
            torch.stack(inner) if inner else final.new_zeros(0, *final.shape),
            final,
            labels[valid],
            self.model.items.weight,
            lambda1=self.options.lambda1,
            lambda2=self.options.lambda2,
            lambda3=self.options.lambda3,
            form=self.options.form,
        )


def check_same_space(teacher: SLMRec, student: SLMRec) -> None:
    """Refuse models whose states or items cannot be compared.

    Raises:
        UserError: another width, another reading, or another catalogue.
    """
    widths = [model.output_adapter.in_features for model in (teacher, student)]
    if widths[0] != widths[1]:
        raise UserError(
            f"the teacher's states are {widths[0]} wide, the student's {widths[1]}: block ends of different width "
            "cannot be compared; take a student of the teacher's backbone"
        )
    if not teacher.catalogue.frame["item_id"].equals(student.catalogue.frame["item_id"]):
        raise UserError(
            f"the teacher's item table ({len(teacher.catalogue)} items) is not the student's "
            f"({len(student.catalogue)} items); both must be trained on one data set"
        )
    if teacher.config.reading != student.config.reading:
        raise UserError(
            f"the teacher reads '{teacher.config.reading}', the student '{student.config.reading}'; "
            "both must read the sequence the same way"
        )


@dataclass(frozen=True)
class TaughtExamples(Sequence[Example]):
    """Examples with the teacher's states at their targets, read when an example is."""

    examples: Sequence[Example]
    states: TeacherStates

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index):
        return replace(self.examples[index], teacher=self.states[index])
