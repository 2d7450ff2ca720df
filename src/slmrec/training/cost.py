"""What a training will cost, told before it starts: tokens, time and memory, from a few steps of the thing itself.

A decoder of one layer and one of two, with random weights, take a few of the very batches that training will take, and
rank a few hundred of the users that validation will rank; what the second layer adds, every further one will.
"""

import time
from dataclasses import dataclass, replace

import numpy as np
import psutil
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from slmrec.data import Dataset
from slmrec.data.batches import Example, training_examples
from slmrec.engine import device_of
from slmrec.evaluation import evaluate
from slmrec.losses import softmax_cross_entropy
from slmrec.models import Classic, DotProductRecommender, SLMRec, SLMRecConfig
from slmrec.models.backbone import cut_config
from slmrec.models.width import with_hidden
from slmrec.training.build import build_classic
from slmrec.training.modules import NextItem, TrainingModule, training_module
from slmrec.training.options import ClassicOptions, LLMOptions, TrainingOptions
from slmrec.training.speed import expected_epochs, seconds_a_position, some_batches, training_step

CASES = 512
"""Validation cases that are timed."""


@dataclass(frozen=True)
class Cost:
    """An estimate."""

    tokens: int
    """Item and prompt positions that go through the model in training."""
    seconds: float
    """Expected time, validation included; where early stopping may end it, of so many epochs as it usually takes."""
    gigabytes: float
    """Expected memory of the process at its peak."""
    testing: float
    """Expected time of ranking all test cases afterwards."""

    def __str__(self) -> str:
        minutes = self.seconds / 60
        length = f"{minutes:,.0f} min" if minutes >= 1.5 else f"{self.seconds:,.0f} s"
        return f"{self.tokens:,} tokens, about {length}, {self.gigabytes:.1f} GB"


@dataclass(frozen=True)
class _Probe:
    """Measured on one model."""

    step: float
    """Seconds of forward, backward and optimiser, a token."""
    ranking: float
    """Seconds of ranking, a case."""
    encoding: float
    """Seconds of a forward without gradients, a token."""
    weights: float
    """Bytes of weights, gradients and optimiser."""
    activations: float
    """Bytes kept for the backward pass, a token."""

    def deeper(self, second: "_Probe", layers: int) -> "_Probe":
        """What ``layers`` layers cost, self being one and ``second`` two of them."""
        one, two = vars(self), vars(second)
        return _Probe(**{name: max(0.0, one[name] + (two[name] - one[name]) * (layers - 1)) for name in one})


_probed: dict[tuple, tuple[_Probe, _Probe]] = {}


def llm_cost(
    data: Dataset,
    options: LLMOptions,
    config: PretrainedConfig,
    teacher: LLMOptions | None = None,
    blocks: int = 1,
    online: bool = False,
) -> Cost:
    """Cost of training an LLM recommender, and of its teacher's states where it has a teacher.

    Args:
        data: the data set.
        options: shape and training.
        config: the whole decoder's configuration.
        teacher: shape of the teacher whose states are computed once.
        blocks: the inner ones' cross-entropies are paid for too.
        online: the teacher is trained beside the student instead.

    Raises:
        UserError: a width that the decoder cannot have.
    """
    every = options.reading == "every-position"
    # A prompt's text after the items is a handful of tokens; what stands before them is computed once a batch.
    lengths = [len(text.split()) + 2 if text else 0 for text in (options.prompt_before, options.prompt_after)]
    examples = training_examples(data, options.max_length, "every-position" if every else "last-position")

    training = options.training.filled([len(example.inputs) for example in examples])

    def probe_of(layers: int, width: int) -> _Probe:
        own = with_hidden(config, width) if width else config
        alike = replace(options, layers=1, width=width, training=TrainingOptions())
        key = (data.fingerprint, alike, own.to_json_string(), training.batch_size, training.loss, training.precision)
        if key not in _probed:  # a teacher and its students share what a layer costs
            models = (_build(data, options, own, few, lengths) for few in (1, 2))
            first, second = (_probe(model, data, examples, training) for model in models)
            _probed[key] = (first, second)
        one, two = _probed[key]
        return one.deeper(two, layers)

    probe = probe_of(options.layers, options.width)
    cost = _cost(probe, data, examples, training, lengths[1])
    targets = sum(len(example.targets) for example in examples)
    heads = (blocks - 1) * _cross_entropy(data.num_items, 64) * targets * expected_epochs(training, len(examples))
    if teacher is None:
        return replace(cost, seconds=cost.seconds + heads)
    deep = probe_of(teacher.layers, teacher.width)
    if online:
        beside = _cost(replace(deep, ranking=0.0), data, examples, training, lengths[1])
        held = beside.gigabytes - _held_now() / 1e9
        return replace(cost, seconds=cost.seconds + heads + beside.seconds, gigabytes=cost.gigabytes + held)
    tokens = sum(len(example.inputs) + lengths[1] for example in examples)
    return replace(cost, seconds=cost.seconds + heads + tokens * deep.encoding)


def classic_cost(data: Dataset, options: ClassicOptions) -> Cost:
    """Cost of training a classic neural model."""
    examples = training_examples(data, options.max_length, "every-position")
    model = build_classic(data, options, None)  # without the items' text, which costs little beside the rest
    training = options.training.filled([len(example.inputs) for example in examples])
    return _cost(_probe(model, data, examples, training), data, examples, training, 0)


def _build(data: Dataset, options: LLMOptions, config: PretrainedConfig, layers: int, prompts: list[int]) -> SLMRec:
    """The first layers with random weights, frozen and checkpointed as the training will have them."""
    model = SLMRec(
        SLMRecConfig(
            num_items=data.num_items,
            backbone=cut_config(config, layers),
            reading=options.reading,
            prompt_before=options.prompt_before,
            prompt_after=options.prompt_after,
            prompt_lengths=prompts,
            max_length=options.max_length,
            dropout=options.dropout,
            item_dropout=options.item_dropout,
            lora=options.lora,
        )
    )
    model.choose_trained(items=options.train_items)
    if options.gradient_checkpointing:
        model.checkpoint_layers()
    return model


def _probe(model: DotProductRecommender, data: Dataset, examples: list[Example], training: TrainingOptions) -> _Probe:
    """Time a few batches of the training and a few cases of its validation."""
    nn.Module.to(model, device_of())
    model.catalogue = data.catalogue
    module = (training_module(model, training) if isinstance(model, Classic) else NextItem(model, training)).train()
    batches = some_batches(examples, training)
    held = _activations(module, batches[0]) / batches[0]["lengths"].sum().item()

    def encode(batch: dict[str, Tensor]) -> None:
        with torch.no_grad():
            model(batch["input_ids"].to(device_of()), batch["lengths"].to(device_of()))

    stepping, encoding = (seconds_a_position(work, batches) for work in (training_step(module, training), encode))
    ranking = 0.0
    cases = min(CASES, len(data.cases("valid").users))
    if cases:
        evaluate(model, data, "valid", max_cases=min(cases, 32))
        ranking = evaluate(model, data, "valid", max_cases=cases).seconds / cases
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    held_weights = sum(p.numel() for p in model.parameters()) * 4 + trained * 12  # gradient and AdamW's two moments
    return _Probe(stepping, ranking, encoding, held_weights, held)


def _activations(module: TrainingModule, batch: dict[str, Tensor]) -> float:
    """Bytes that a forward pass keeps for its backward pass."""
    own = {p.untyped_storage().data_ptr() for p in module.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(**{name: tensor.to(module.model.device) for name, tensor in batch.items()})
    return float(sum(kept.values()))


def _cross_entropy(items: int, width: int) -> float:
    """Seconds of one cross-entropy over all items, forward and backward, a position."""
    positions = 256
    states = torch.randn(positions, width, requires_grad=True)
    table = nn.Parameter(torch.randn(items + 1, width))
    targets = torch.randint(1, items + 1, (positions,))
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        softmax_cross_entropy(states, targets, table).backward()
        best = min(best, time.perf_counter() - started)
    return best / positions


def _cost(probe: _Probe, data: Dataset, examples: list[Example], training: TrainingOptions, after: int) -> Cost:
    epochs = expected_epochs(training, len(examples))
    items = sum(len(example.inputs) for example in examples)
    cases = len(data.cases("valid").users)
    ranked = min(cases, training.valid_users or cases)
    seconds = epochs * (items * probe.step + ranked * probe.ranking / training.evaluate_every)
    longest = np.sort([len(example.inputs) for example in examples])[-training.batch_size :]
    positions = longest.sum() / training.gradient_accumulation
    gigabytes = (_held_now() + probe.weights + positions * probe.activations) / 1e9
    testing = len(data.cases("test").users) * probe.ranking
    return Cost(int(epochs * (items + after * len(examples))), float(seconds), float(gigabytes), testing)


def _held_now() -> int:
    """Bytes that the process holds before; on another device only the training's own count."""
    return 0 if torch.accelerator.is_available() else psutil.Process().memory_info().rss
