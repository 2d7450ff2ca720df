"""What a step computes: each training module turns a batch into a loss and its named parts."""

import torch
from torch import Tensor, nn

from slmrec.data.batches import IGNORED
from slmrec.errors import UserError
from slmrec.losses import gbce, sampled_softmax_cross_entropy, softmax_cross_entropy
from slmrec.models import Recommender
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

    def __init__(self, model: Recommender, options: TrainingOptions) -> None:
        super().__init__(model)
        self.options = options

    def parts(self, input_ids: Tensor, lengths: Tensor, labels: Tensor, **extra: Tensor) -> dict[str, Tensor]:
        states = self.model(input_ids, lengths)  # (B, R, d)
        valid = labels != IGNORED
        return {"loss": next_item_loss(states[valid], labels[valid], item_table(self.model).table(), self.options)}


def item_table(model: Recommender) -> ItemTable:
    """The table that a model reads and scores with.

    Raises:
        UserError: it has none.
    """
    items = getattr(model, "items", None)
    if not isinstance(items, ItemTable):
        raise UserError(f"a {model.kind} model has no item vectors")
    return items


def next_item_loss(states: Tensor, targets: Tensor, table: Tensor, options: TrainingOptions) -> Tensor:
    """The cross-entropy that the options name, for states (P, d), targets (P,), item table (N+1, d)."""
    if options.loss == "softmax":
        return softmax_cross_entropy(states, targets, table)
    negatives = torch.randint(1, len(table), (options.negatives,), device=targets.device)
    if options.loss == "sampled-softmax":
        return sampled_softmax_cross_entropy(states, targets, table, negatives, logq=options.logq)
    return gbce(states, targets, table, negatives, t=options.gbce_t)
