"""Distillation of the paper: a frozen deep teacher, a student of its first layers, matched block by block.

The teacher's M layers and the student's N are both cut into B blocks; the states after each block are compared by
`slmrec_objective`. They are compared in the raw residual stream, the last block's too. The published code compares
the last block after its final norm and the inner ones before it: `form="published"` does the same. The paper's method
is offline, after the teacher's training; `OnlineDistillation` is what it compares that with.
"""

import torch
from torch import Tensor, nn

from slmrec.data import Catalogue
from slmrec.data.batches import IGNORED
from slmrec.errors import UserError
from slmrec.losses import contrastive_loss, relational_loss, slmrec_objective, softmax_cross_entropy
from slmrec.models import Recommender, SLMRec
from slmrec.training.modules import TrainingModule
from slmrec.training.options import DistillationOptions, block_ends
from slmrec.training.teacher_states import block_end_states


def check_pair(teacher: SLMRec, student_layers: int, blocks: int, width: int = 0) -> None:
    """Refuse a student that this teacher cannot teach by its states.

    Args:
        teacher: whose states they are.
        student_layers: depth of the student.
        blocks: that both are cut into.
        width: that the student is to have; 0: its backbone's.

    Raises:
        UserError: the student is deeper or of another width, or either does not divide into the blocks.
    """
    own = teacher.output_adapter.in_features
    if width and width != own:
        raise UserError(
            f"the student is to be {width} wide, but the teacher's states, which it follows, are {own} wide; drop the "
            "width, or take form 'scores'"
        )
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
        self._teacher = (teacher,)  # in a tuple: no part of what is trained and saved
        self._prepare(teacher)

    def _prepare(self, teacher: SLMRec) -> None:
        """Make the teacher ready to teach."""
        teacher.requires_grad_(False).eval()

    @property
    def teacher_model(self) -> SLMRec:
        """The teacher, which is no part of the module."""
        return self._teacher[0]

    def parts(self, input_ids: Tensor, lengths: Tensor, labels: Tensor, **extra: Tensor) -> dict[str, Tensor]:
        valid = labels != IGNORED
        student = self.model.hidden(input_ids, lengths, self.layers)[:, valid]  # (K, P, D)
        if "teacher" in extra:
            teacher = extra["teacher"].transpose(0, 1).to(student.dtype)  # (K, P, D)
        else:
            nn.Module.to(self._teacher[0], student.device)
            batch = {"input_ids": input_ids, "lengths": lengths, "labels": labels}
            teacher = block_end_states(self._teacher[0], batch, self.teacher_layers)
        return self._compare(teacher, student, labels[valid])

    def _compare(self, teacher: Tensor, student: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The loss and its parts of block ends (K, P, D) at positions whose next items are (P,) targets."""
        published = self.options.form == "published"
        inner = [
            adapter(states if published else self.model.final_norm(states))
            for adapter, states in zip(self.inner_adapters, student, strict=False)
        ]
        final = self.model.read_out(student[-1])
        if published:
            student = torch.cat([student[:-1], self.model.final_norm(student[-1:])])
            teacher = torch.cat([teacher[:-1], self._teacher[0].final_norm(teacher[-1:]).detach()])
        parts = slmrec_objective(
            teacher,
            student,
            torch.stack(inner) if inner else final.new_zeros(0, *final.shape),
            final,
            targets,
            self.model.items.table(),
            lambda1=self.options.lambda1,
            lambda2=self.options.lambda2,
            lambda3=self.options.lambda3,
            form="published" if published else "paper",
        )
        for name, loss in (("contrastive", contrastive_loss), ("relational", relational_loss)):
            if weight := getattr(self.options, name):
                parts[name] = loss(teacher[-1], student[-1])
                parts["loss"] = parts["loss"] + weight * parts[name]
        return parts


class OnlineDistillation(Distillation):
    """Teacher and student learn together: the objective above, and the teacher's own cross-entropy.

        loss = objective(student; teacher's states as they are) + L_ce(teacher)

    The teacher is trained by its targets alone: no gradient flows to it from what the student lacks. In the published
    code one does, which pulls the teacher towards its student, and both share the student's item table; here each has
    its own. The teacher is left behind afterwards.
    """

    def _prepare(self, teacher: SLMRec) -> None:
        self.teacher = teacher

    def parts(self, input_ids: Tensor, lengths: Tensor, labels: Tensor, **extra: Tensor) -> dict[str, Tensor]:
        valid = labels != IGNORED
        targets = labels[valid]
        teacher = self.teacher.hidden(input_ids, lengths, self.teacher_layers)[:, valid]  # (K, P, D)
        student = self.model.hidden(input_ids, lengths, self.layers)[:, valid]
        own = softmax_cross_entropy(self.teacher.read_out(teacher[-1]), targets, self.teacher.items.table())
        parts = self._compare(teacher.detach(), student, targets)
        return parts | {"loss": parts["loss"] + own, "teacher_cross_entropy": own.detach()}


def check_same_space(teacher: SLMRec, student: SLMRec) -> None:
    """Refuse models whose states or items cannot be compared.

    Raises:
        UserError: another width, another reading, or another catalogue.
    """
    widths = [model.output_adapter.in_features for model in (teacher, student)]
    if widths[0] != widths[1]:
        raise UserError(
            f"the teacher's states are {widths[0]} wide, the student's {widths[1]}: block ends of different width "
            "cannot be compared; take a student of the teacher's backbone and width"
        )
    check_catalogue(teacher, student.catalogue)
    if teacher.config.reading != student.config.reading:
        raise UserError(
            f"the teacher reads '{teacher.config.reading}', the student '{student.config.reading}'; "
            "both must read the sequence the same way"
        )


def check_catalogue(teacher: Recommender, catalogue: Catalogue) -> None:
    """Refuse a student over other items than the teacher's.

    Raises:
        UserError: the item ids differ.
    """
    if not teacher.catalogue.frame["item_id"].equals(catalogue.frame["item_id"]):
        raise UserError(
            f"the teacher's item table ({len(teacher.catalogue)} items) is not the student's "
            f"({len(catalogue)} items); both must be trained on one data set"
        )
