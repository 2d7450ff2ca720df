"""What a training will cost, told before it starts: tokens, arithmetic, and the time this machine needs for it."""

import time
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from transformers import PretrainedConfig

from slmrec.data import Dataset
from slmrec.data.batches import training_examples
from slmrec.models.backbone import build_backbone
from slmrec.training.options import LLMOptions, SASRecOptions, TrainingOptions

LLM_SHARE = 0.75
"""Share of the machine's matrix speed that a decoder's training and scoring reach."""
LOSS_SHARE = 0.35
"""The same for the cross-entropy, whose exponentials are no matrix products."""
CLASSIC_SHARE = 0.08
"""The same for a small transformer, whose time goes to its many small steps."""
PATIENT_EPOCHS = 20
"""Epochs that are expected where early stopping may end them: it took 12 to 25 in benchmarks/results."""


@dataclass(frozen=True)
class Cost:
    """An estimate."""

    tokens: int
    """Item and prompt positions that go through the model in training."""
    seconds: float
    """Expected time, validation included."""


def llm_cost(data: Dataset, options: LLMOptions, config: PretrainedConfig, teacher_layers: int | None = None) -> Cost:
    """Cost of training an LLM recommender, and of its teacher's states where it has a teacher.

    Args:
        data: the data set.
        options: shape and training.
        config: the whole decoder's configuration.
        teacher_layers: layers of the teacher whose states are computed once.
    """
    layer = _layer_parameters(config)
    every = options.reading == "every-position"
    examples = training_examples(data, options.max_length, "every-position" if every else "last-position")
    # A prompt's text after the items is a handful of tokens; what stands before them is computed once a batch.
    after = 0 if every else len(options.prompt_after.split()) + 2
    tokens = sum(len(example.inputs) + after for example in examples)
    targets = sum(len(example.targets) for example in examples)
    epochs = _epochs(options.training, len(examples))
    scored = _validation_tokens(data, options.max_length, options.training, after)
    step = 2 if options.lora_rank else 3  # forward and backward, in forwards
    forwards = epochs * (tokens * step + scored / options.training.evaluate_every) * options.layers
    forwards += tokens * (teacher_layers or 0)
    arithmetic = forwards * layer * 2 / LLM_SHARE
    arithmetic += epochs * targets * data.num_items * 64 * 6 / LOSS_SHARE
    return Cost(int(tokens * epochs), arithmetic / matrix_speed())


def sasrec_cost(data: Dataset, options: SASRecOptions) -> Cost:
    """Cost of training SASRec."""
    examples = training_examples(data, options.max_length, "every-position")
    tokens = sum(len(example.inputs) for example in examples)
    epochs = _epochs(options.training, len(examples))
    scored = _validation_tokens(data, options.max_length, options.training, 0)
    rivals = data.num_items if options.training.loss == "softmax" else options.training.negatives
    block = 12 * options.hidden_size**2 * options.num_blocks
    arithmetic = epochs * (tokens * 3 + scored / options.training.evaluate_every) * block * 2 / CLASSIC_SHARE
    arithmetic += epochs * tokens * rivals * options.hidden_size * 6 / LOSS_SHARE
    return Cost(int(tokens * epochs), arithmetic / matrix_speed())


@cache
def matrix_speed() -> float:
    """Floating-point operations a second of this machine in a matrix product of a decoder's size."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    left, right = torch.randn(512, 576, device=device), torch.randn(576, 1536, device=device)
    best = float("inf")
    for _ in range(8):
        started = time.perf_counter()
        (left @ right).sum().item()  # .item() waits for the device
        best = min(best, time.perf_counter() - started)
    return 2 * 512 * 576 * 1536 / best


def _layer_parameters(config: PretrainedConfig) -> float:
    values = config.to_dict()
    values.pop("quantization_config", None)
    values.update(vocab_size=1, pad_token_id=None)
    with torch.device("meta"):
        backbone = build_backbone(values)
    return sum(p.numel() for p in backbone.parameters()) / config.num_hidden_layers


def _epochs(training: TrainingOptions, examples: int) -> float:
    if training.max_steps > 0:
        return min(training.epochs, training.max_steps * training.batch_size / examples)
    if training.patience:
        return min(training.epochs, PATIENT_EPOCHS)
    return training.epochs


def _validation_tokens(data: Dataset, max_length: int, training: TrainingOptions, after: int) -> float:
    cases = data.cases("valid")
    if not len(cases.users):
        return 0.0
    lengths = np.minimum(cases.positions - data.offsets[cases.users], max_length)
    share = min(1.0, (training.valid_users or len(lengths)) / len(lengths))
    return float((lengths + after).sum() * share)
