"""How fast a model trains, from a few steps of the thing itself."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from slmrec.data.batches import Example, LengthBatches, collate
from slmrec.engine import device_of
from slmrec.training.distillation import Distillation
from slmrec.training.modules import TrainingModule
from slmrec.training.options import PATIENT_EPOCHS, TrainingOptions
from slmrec.training.teacher_states import block_end_states

STEPS = 3
"""Steps that are timed."""
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class TrainingSpeed:
    """Seconds of optimiser steps; validation is not counted."""

    epoch: float
    """An epoch."""
    once: float
    """Before the first one: the teacher's states, 0 where there is no teacher."""
    epochs: float
    """How many there will be; where early stopping may end it, as many as it usually takes."""

    @property
    def total(self) -> float:
        """Of a whole training."""
        return self.once + self.epochs * self.epoch


def training_speed(module: TrainingModule, examples: Sequence[Example], options: TrainingOptions) -> TrainingSpeed:
    """Time a few steps of a training that has not begun; the module's weights are changed by them.

    A `Distillation` is timed with its teacher's states at hand, as it reads them from disk, and the teacher apart.
    """
    module.to(device_of()).train()
    lengths = [len(example.inputs) for example in examples]
    options, positions = options.filled(lengths), sum(lengths)
    batches = some_batches(examples, options)
    once = 0.0
    if isinstance(module, Distillation):
        teacher = module.teacher_model
        torch.nn.Module.to(teacher, device_of())

        def teach(batch: Batch) -> None:
            batch["teacher"] = block_end_states(teacher, batch, module.teacher_layers).transpose(0, 1)

        once = positions * seconds_a_position(teach, batches)
    step = positions * seconds_a_position(training_step(module, options), batches)
    return TrainingSpeed(step, once, expected_epochs(options, len(examples)))


def some_batches(examples: Sequence[Example], options: TrainingOptions) -> list[Batch]:
    """A few of the batches that a training will take, drawn as it draws them; the first is for warming up."""
    lengths = [len(example.inputs) for example in examples]
    sampler = LengthBatches(lengths, options.batch_size, options.gradient_accumulation)
    batches = [collate([examples[i] for i in batch]) for batch, _ in zip(sampler, range(STEPS + 1), strict=False)]
    return batches * 2 if len(batches) == 1 else batches


def training_step(module: TrainingModule, options: TrainingOptions) -> Callable[[Batch], None]:
    """One optimiser step on a batch, AdamW's state being kept between them."""
    optimiser = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], fused=True)

    def step(batch: Batch) -> None:
        with torch.autocast(device_of().type, torch.bfloat16, enabled=options.precision == "bf16"):
            loss = module(**{name: tensor.to(device_of()) for name, tensor in batch.items()})["loss"]
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def seconds_a_position(work: Callable[[Batch], None], batches: Sequence[Batch]) -> float:
    """Seconds of work on a batch by its items, the median of all batches but the first, which warms up."""
    work(batches[0])
    found = []
    for batch in batches[1:]:
        _wait()
        started = time.perf_counter()
        work(batch)
        _wait()
        found.append((time.perf_counter() - started) / batch["lengths"].sum().item())
    return float(np.median(found))


def expected_epochs(training: TrainingOptions, examples: int) -> float:
    """Epochs that a training will take; where early stopping may end it, as many as it usually took."""
    if training.max_steps > 0:
        return min(training.epochs, training.max_steps * training.batch_size / examples)
    if training.patience:
        return min(training.epochs, PATIENT_EPOCHS)
    return training.epochs


def _wait() -> None:
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
