"""What a step computes: each training module turns a batch into a loss and its named parts."""

import torch
from torch import Tensor, nn

from slmrec.data import PADDING
from slmrec.data.batches import IGNORED
from slmrec.errors import UserError
from slmrec.losses import gbce, sampled_softmax_cross_entropy, softmax_cross_entropy
from slmrec.models import BERT4Rec, Classic, DotProductRecommender, Recommender, Residual
from slmrec.models.items import ItemTable
from slmrec.training.options import TrainingOptions


class TrainingModule(nn.Module):
    """A recommender under training. Subclasses give `parts`."""

    accepts_loss_kwargs = True  # the Trainer then passes num_items_in_batch

    def __init__(self, model: Recommender) -> None:
        super().__init__()
        self.model = model

    def parts(self, input_ids: Tensor, lengths: Tensor, labels: Tensor, **extra: Tensor) -> dict[str, Tensor]:
        """The loss as a mean over the batch's targets, under "loss", and whatever it is made of."""
        raise NotImplementedError(f"{type(self).__name__} defines no parts")

    def forward(self, num_items_in_batch: Tensor | int | None = None, **batch: Tensor) -> dict[str, Tensor]:
        parts = self.parts(**batch)
        if num_items_in_batch is not None:
            # Pieces of an accumulated batch add up to the mean over all its targets.
            parts["loss"] = parts["loss"] * ((batch["labels"] != IGNORED).sum() / num_items_in_batch)
        return parts


class NextItem(TrainingModule):
    """Cross-entropy of the next item, by itself."""

    def __init__(self, model: DotProductRecommender, options: TrainingOptions) -> None:
        super().__init__(model)
        self.options = options

    def parts(self, input_ids: Tensor, lengths: Tensor, labels: Tensor, **extra: Tensor) -> dict[str, Tensor]:
        states = self.model(input_ids, lengths)  # (B, R, d)
        valid = labels != IGNORED
        return {"loss": next_item_loss(states[valid], labels[valid], scored_table(self.model), self.options)}


class Cloze(TrainingModule):
    """Cross-entropy of the items left out of whole sequences (BERT4Rec).

    A sequence is a batch's inputs and the last one's target. In most, each item is left out with the probability
    `mask_share`, and one at least; in a `last_share` of them the last alone. Pieces of an accumulated batch are weighed
    by their lengths, not by how many items were left out.
    """

    model: BERT4Rec

    def __init__(self, model: BERT4Rec, options: TrainingOptions) -> None:
        super().__init__(model)
        self.options = options

    def parts(self, input_ids: Tensor, lengths: Tensor, labels: Tensor, **extra: Tensor) -> dict[str, Tensor]:
        model = self.model
        items = torch.cat([input_ids[:, :1], labels.masked_fill(labels == IGNORED, PADDING)], dim=1)  # (B, L + 1)
        lengths = lengths + 1
        masked = left_out(items != PADDING, lengths, model.config.mask_share, model.config.last_share)
        states = model.fill(items, lengths, masked)[masked]  # (P, d)
        return {"loss": next_item_loss(states, items[masked], model.items.table(), self.options)}


def left_out(valid: Tensor, lengths: Tensor, share: float, last_share: float) -> Tensor:
    """Which items a cloze leaves out: (B, L) bool, True for one at least of each row's valid ones.

    Args:
        valid: (B, L) bool, True at items.
        lengths: (B,) int, items of each row.
        share: probability of each item.
        last_share: probability that a row leaves out its last item alone.
    """
    rows = torch.arange(len(valid), device=valid.device)
    drawn = torch.rand(valid.shape, device=valid.device).masked_fill(~valid, 2.0)
    masked = drawn < share
    masked[rows, drawn.argmin(dim=1)] = True
    last = torch.zeros_like(masked)
    last[rows, lengths - 1] = True
    only_last = torch.rand(len(valid), 1, device=valid.device) < last_share
    return torch.where(only_last, last, masked)


def training_module(model: Classic, options: TrainingOptions) -> TrainingModule:
    """How a classic model is trained by itself."""
    return Cloze(model, options) if isinstance(model, BERT4Rec) else NextItem(model, options)


def item_table(model: Recommender) -> ItemTable:
    """The table that a model reads and scores with.

    Raises:
        UserError: it has none.
    """
    items = getattr(model, "items", None)
    if not isinstance(items, ItemTable):
        raise UserError(f"a model of kind {model.kind} has no item vectors")
    return items


def scored_table(model: Recommender) -> Tensor:
    """(N + 1, d) item vectors that a model's states are scored with, row 0 the padding."""
    return model.table() if isinstance(model, Residual) else item_table(model).table()


def next_item_loss(states: Tensor, targets: Tensor, table: Tensor, options: TrainingOptions) -> Tensor:
    """The cross-entropy that the options name, for states (P, d), targets (P,), item table (N+1, d)."""
    if options.loss == "softmax":
        return softmax_cross_entropy(states, targets, table)
    negatives = torch.randint(1, len(table), (options.negatives,), device=targets.device)
    if options.loss == "sampled-softmax":
        return sampled_softmax_cross_entropy(states, targets, table, negatives, logq=options.logq)
    return gbce(states, targets, table, negatives, t=options.gbce_t)
