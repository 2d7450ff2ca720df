"""How a model is trained, whichever it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from slmrec.errors import UserError
from slmrec.training.options.checks import check_counts

PATIENT_EPOCHS = 20
"""Epochs that are expected where early stopping may end them: it took 12 to 25 in benchmarks/results."""


@dataclass(frozen=True)
class TrainingOptions:
    """Optimiser, schedule, stopping and loss of one training run."""

    epochs: int = 10
    """Passes over the training sequences."""
    max_steps: int = -1
    """Optimiser steps after which training ends, whatever the epochs; -1 for no limit."""
    batch_size: int = 128
    """Sequences an optimiser step on one device; gradient accumulation splits it into smaller pieces."""
    batch_positions: int = 0
    """Positions a step should have: where histories are short, a step takes as many times `batch_size` as come nearest
    to it. An LLM's step costs much that does not depend on how little is in it."""
    gradient_accumulation: int = 1
    """Pieces a batch is computed in; same gradients, less memory."""
    learning_rate: float = 1e-3
    """Peak learning rate of everything but the pretrained backbone."""
    backbone_learning_rate: float | None = None
    """Peak learning rate of the backbone's own weights (LoRA's included); unset: `learning_rate`."""
    weight_decay: float = 0.0
    """AdamW's decoupled weight decay; never applied to biases, norms and item vectors."""
    adam_beta2: float = 0.999
    """AdamW's second-moment decay."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises from 0."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """What the learning rate does after the warm-up; linear and cosine end at 0."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this global L2 norm."""
    patience: int = 0
    """Evaluations without a better validation NDCG@10 before training stops; 0: never."""
    evaluate_every: int = 1
    """Epochs between evaluations on the validation split; the best one's weights are kept."""
    valid_users: int | None = None
    """Users (drawn once by the seed) that validation during training ranks for; unset: all."""
    loss: Literal["softmax", "sampled-softmax", "gbce"] = "softmax"
    """Cross-entropy over all items, over shared sampled negatives, or gBCE over them."""
    negatives: int = 1024
    """Negatives drawn uniformly a step and shared by all positions (sampled losses only)."""
    logq: bool = False
    """Correct sampled softmax for how often an item is drawn as a negative."""
    gbce_t: float = 0.75
    """gBCE's calibration t between 0 (plain BCE) and 1 (fully calibrated)."""
    average_epochs: float = 0.0
    """Validate and keep a moving average of the weights over about so many epochs (training/averaging.py); 0: the
    weights of the last step."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Number format of the forward and backward pass."""
    seed: int = 0
    """Seeds initial weights, order, dropout and negatives."""

    def __post_init__(self) -> None:
        check_counts(self, "batch_size", "gradient_accumulation", "evaluate_every", "negatives")
        if self.batch_positions < 0:
            raise UserError(f"batch_positions is {self.batch_positions}, but must be at least 0")
        if self.valid_users is not None and self.valid_users < 1:
            raise UserError(f"valid_users is {self.valid_users}, but must be at least 1")
        if self.average_epochs < 0:
            raise UserError(f"average_epochs is {self.average_epochs:g}, but must be at least 0")
        if self.epochs < 1 and self.max_steps < 1:
            raise UserError(f"epochs is {self.epochs} and max_steps {self.max_steps}: one must be at least 1")
        if self.batch_size % self.gradient_accumulation:
            raise UserError(
                f"batch_size {self.batch_size} does not divide into {self.gradient_accumulation} pieces of "
                "gradient_accumulation; choose a divisor"
            )
        if not 0 <= self.gbce_t <= 1:
            raise UserError(f"gbce_t is {self.gbce_t}, but must lie between 0 and 1")
        if self.logq and self.loss != "sampled-softmax":
            raise UserError(f"logq corrects sampled-softmax, but the loss is {self.loss}; drop one of the two")

    def filled(self, lengths: Sequence[int]) -> "TrainingOptions":
        """With the batch size that `batch_positions` asks for, given the training sequences' lengths."""
        once = self.batch_size * sum(lengths) / max(1, len(lengths))
        times = max(1, round(self.batch_positions / once)) if once else 1
        return replace(self, batch_size=times * self.batch_size, batch_positions=0)
