"""The one Trainer that trains every model here: transformers' own, with our batches, our validation, our optimiser.

Resume, gradient accumulation, mixed precision, TensorBoard, early stopping, DDP and FSDP come with it.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import ExportableState, PrinterCallback

from slmrec.data import Dataset
from slmrec.data.batches import Example, LengthBatches, collate
from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.files import read_json
from slmrec.models import Recommender
from slmrec.training.averaging import Average
from slmrec.training.modules import TrainingModule
from slmrec.training.options import PATIENT_EPOCHS, TrainingOptions

SAVE_SECONDS = 45
"""A run that is cut off loses at most about this much work."""

Progress = Callable[[int, int, str], None]
"""progress(steps done, steps in all, what is being done)"""


@dataclass(frozen=True)
class Trained:
    """What is left to tell of a training run; its `to_json` is a model folder's training.json."""

    seconds: float
    """Time spent training and validating, resumed parts included."""
    steps: int
    """Optimiser steps."""
    best_epoch: float
    """Epoch whose weights were kept: the best on validation."""
    log: list[dict[str, Any]]
    """Rows: epoch, step, loss and its parts (means since the last row); after an evaluation also valid_NDCG@10 and
    valid_HR@10."""
    options: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def fit(
    module: TrainingModule,
    examples: Sequence[Example],
    data: Dataset,
    options: TrainingOptions,
    work: Path,
    progress: Progress | None = None,
) -> Trained:
    """Train a module in place, from the last checkpoint in ``work`` if there is one.

    Args:
        module: what to train; afterwards it holds the weights that were best on validation.
        examples: training sequences.
        data: for validation.
        options: how.
        work: folder for checkpoints and TensorBoard logs; the caller removes it when the result is safe.
        progress: told after every step.

    Raises:
        UserError: averaged weights are asked for under FSDP.
    """
    trainer = RecommenderTrainer(module, examples, data, options, work, progress)
    checkpoint = last_checkpoint(work)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if trainer.average:
        trainer.average.swap()
    state = trainer.state
    best = state.best_global_step or state.global_step
    return Trained(
        seconds=trainer.seconds,
        steps=state.global_step,
        best_epoch=round(best / trainer.steps_per_epoch, 2),
        log=_rows(state.log_history),
        options=dict(vars(trainer.options)),
    )


def last_checkpoint(work: Path) -> Path | None:
    """The newest whole checkpoint; the trainer's state is the last file that one gets, and may be cut off itself."""
    found = [path for path in work.glob("checkpoint-*") if _whole(path / "trainer_state.json")]
    return max(found, key=lambda path: int(path.name.split("-")[1]), default=None)


def _whole(state: Path) -> bool:
    try:
        read_json(state, "checkpoint")
    except UserError:
        return False
    return True


class RecommenderTrainer(Trainer):
    """transformers' Trainer over `TrainingModule`s."""

    def __init__(
        self,
        module: TrainingModule,
        examples: Sequence[Example],
        data: Dataset,
        options: TrainingOptions,
        work: Path,
        progress: Progress | None = None,
    ) -> None:
        self.lengths = [len(example.inputs) for example in examples]
        self.options = options = options.filled(self.lengths)
        self.valid_data = data
        self.steps_per_epoch = math.ceil(len(examples) / options.batch_size)
        self.has_valid = len(data.cases("valid").users) > 0
        self.parts: dict[str, list[Tensor]] = defaultdict(list)
        self.average: Average | None = None
        if options.average_epochs:
            module.average = self.average = Average(module.parameters(), options.average_epochs * self.steps_per_epoch)
        every = _steps_between_evaluations(options, self.steps_per_epoch)
        callbacks: list[TrainerCallback] = [_Clock(), _Log(every)]
        if self.average:
            callbacks.append(_Averaging(self.average))
        if options.patience and self.has_valid:
            callbacks.append(EarlyStoppingCallback(early_stopping_patience=options.patience))
        if progress:
            callbacks.append(_Report(progress, options, every, self.steps_per_epoch))
        super().__init__(
            model=module,
            args=_arguments(options, work, every, self.has_valid),
            train_dataset=examples,
            eval_dataset=examples if self.has_valid else None,  # never read: `evaluate` ranks the validation split
            data_collator=collate,
            callbacks=callbacks,
        )
        if self.average and self.is_fsdp_enabled:
            raise UserError("average_epochs needs whole weights, which FSDP takes apart; do without one of the two")
        self.remove_callback(PrinterCallback)  # progress is told by ours, results by the caller

    @property
    def seconds(self) -> float:
        """Time spent training so far; a resumed Trainer has put another clock in the place of the first."""
        return next(callback.seconds for callback in self.callback_handler.callbacks if isinstance(callback, _Clock))

    def get_train_dataloader(self) -> DataLoader:
        options = self.options
        sampler = LengthBatches(self.lengths, options.batch_size, options.gradient_accumulation, options.seed)
        loader: DataLoader = DataLoader(
            cast(Any, self.train_dataset), batch_sampler=sampler, collate_fn=self.data_collator
        )
        return self.accelerator.prepare(loader)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(
                parameter_groups(model or cast(nn.Module, self.model), self.options),
                betas=(0.9, self.options.adam_beta2),
                fused=True,
            )
        return self.optimizer

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, num_items_in_batch=num_items_in_batch)
        for name, value in outputs.items():
            if name != "loss":
                self.parts[name].append(value.detach())
        return (loss, outputs) if return_outputs else loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Rank the validation split over the whole catalogue, with averaged weights where they are what is kept."""
        module = self.accelerator.unwrap_model(self.model)
        model: Recommender = module.model
        with self.average.in_place() if self.average else nullcontext():
            found = evaluate(
                model, self.valid_data, "valid", max_cases=self.options.valid_users, seed=self.options.seed
            ).metrics
        metrics = {f"eval_{name}": found[name] for name in ("NDCG@10", "HR@10")}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs |= {name: torch.stack(values).mean().item() for name, values in self.parts.items()}
            self.parts.clear()
        super().log(logs, start_time)


def parameter_groups(module: nn.Module, options: TrainingOptions) -> list[dict[str, Any]]:
    """AdamW's groups: the pretrained backbone apart from the rest, matrices decayed, vectors and item rows not."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            backbone = ".backbone." in name or ".final_norm." in name
            decayed = parameter.ndim > 1 and not name.endswith(("items.weight", "positions.weight"))
            groups[backbone, decayed].append(parameter)
    return [
        {
            "params": parameters,
            "lr": options.backbone_learning_rate
            if backbone and options.backbone_learning_rate is not None
            else options.learning_rate,
            "weight_decay": options.weight_decay if decayed else 0.0,
        }
        for (backbone, decayed), parameters in sorted(groups.items(), key=lambda group: group[0])
    ]


def _steps_between_evaluations(options: TrainingOptions, steps_per_epoch: int) -> int:
    every = steps_per_epoch * options.evaluate_every
    return min(every, options.max_steps) if options.max_steps > 0 else every


def _arguments(options: TrainingOptions, work: Path, every: int, has_valid: bool) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(work),
        num_train_epochs=options.epochs,
        max_steps=options.max_steps,
        per_device_train_batch_size=options.batch_size // options.gradient_accumulation,
        gradient_accumulation_steps=options.gradient_accumulation,
        learning_rate=options.learning_rate,
        lr_scheduler_type={"constant": "constant_with_warmup"}.get(options.schedule, options.schedule),
        warmup_steps=options.warmup_steps,
        max_grad_norm=options.max_grad_norm,
        use_cpu=not torch.accelerator.is_available(),
        bf16=options.precision == "bf16",
        fp16=options.precision == "fp16",
        seed=options.seed,
        logging_strategy="no",  # `_Log` says when
        logging_nan_inf_filter=False,
        eval_strategy="steps" if has_valid else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=has_valid,
        metric_for_best_model="NDCG@10" if has_valid else None,
        greater_is_better=True if has_valid else None,
        report_to=["tensorboard"],
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        restore_callback_states_from_checkpoint=True,  # the clock and the patience go on where they were
    )


class _Clock(TrainerCallback, ExportableState):
    """Counts training time across resumptions, saves often, and refuses to go on with a loss that is no number."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.before = seconds
        self.started: float | None = None
        self.saved = time.monotonic()

    @property
    def seconds(self) -> float:
        running = 0.0 if self.started is None else time.monotonic() - self.started
        return self.before + running

    def state(self) -> dict[str, Any]:
        return {"args": {"seconds": self.seconds}, "attributes": {}}

    def on_train_begin(self, args, state, control, **kwargs):
        self.started = self.saved = time.monotonic()

    def on_step_end(self, args, state, control, **kwargs):
        if time.monotonic() - self.saved > SAVE_SECONDS:
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        self.saved = time.monotonic()

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs and not math.isfinite(logs.get("loss", 0.0)):
            raise FloatingPointError(f"the training loss is {logs['loss']} at step {state.global_step}")


class _Averaging(TrainerCallback):
    """Takes every step's weights into the average."""

    def __init__(self, average: Average) -> None:
        self.average = average

    def on_step_end(self, args, state, control, **kwargs):
        self.average.update(state.global_step)


class _Log(TrainerCallback):
    """Logs the loss at every evaluation, and between them where they are far apart: a curve needs points."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.between = max(25, math.ceil(every / 8))

    def on_step_end(self, args, state, control, **kwargs):
        since = state.global_step % self.every
        control.should_log = since == 0 or (since % self.between == 0 and self.every - since >= self.between // 2)


class _Report(TrainerCallback):
    """Tells progress; where patience may end the training, as a part of the epochs that it usually takes."""

    def __init__(self, progress: Progress, options: TrainingOptions, every: int, steps_per_epoch: int) -> None:
        self.progress = progress
        self.patience = options.patience * every
        self.usual = PATIENT_EPOCHS * steps_per_epoch
        self.note = ""

    def on_step_end(self, args, state, control, **kwargs):
        epoch = f"epoch {math.ceil(state.epoch)} of {args.num_train_epochs:g}"
        steps = state.max_steps
        if self.patience:
            best = state.best_global_step or 0
            steps = min(steps, max(self.usual, best + self.patience, state.global_step + 1))
        self.progress(state.global_step, steps, ", ".join(filter(None, (epoch, self.note))))

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        self.note = f"valid NDCG@10 {metrics['eval_NDCG@10']:.4f}"


def _rows(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row an evaluation interval, from the Trainer's alternating loss and evaluation entries."""
    rows: dict[int, dict[str, Any]] = {}
    for entry in history:
        if "train_runtime" in entry:
            continue
        row = rows.setdefault(entry["step"], {})
        row |= {key.replace("eval_", "valid_"): value for key, value in entry.items()}
    return [dict(sorted(row.items())) for _, row in sorted(rows.items())]
