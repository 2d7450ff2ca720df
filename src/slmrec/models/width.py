"""Narrower decoders: with only some of their feed-forward neurons and attention heads, or of another hidden width.

Feed-forward neurons go one by one, attention heads in groups: a key-value head with the query heads that share it. All
layers keep equally many, as decoders' configurations want it, but each its own. For the LLaMA family
(`slmrec.engine.decoder.FUSED`), whose layers' parts are known by name.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, gcd
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig

from slmrec.engine.decoder import FUSED
from slmrec.errors import UserError

PART = re.compile(r".*\.(?P<layer>\d+)\.(?:self_attn|mlp)\.(?P<part>\w+)_proj\.(?P<what>weight|bias)")
WIDE = ("gate", "up")
"""Maps with a row a neuron; `down` has a column."""
NEURONS_BY = 32
"""Neurons of a decoder of another hidden width are a multiple of this: odd numbers are slow to multiply."""


@dataclass(frozen=True)
class Widths:
    """How wide a decoder's layers are."""

    neurons: int
    """Feed-forward neurons of a layer."""
    groups: int
    """Key-value heads of a layer."""
    heads: int
    """Query heads that share a key-value head."""
    head_dim: int
    """Width of a head."""


def widths(config: PretrainedConfig) -> Widths:
    """A decoder's widths.

    Raises:
        UserError: a family whose parts are not known.
    """
    if config.model_type not in FUSED:
        raise UserError(
            f"width can be taken from decoders of the families {', '.join(FUSED)}, but this one is a "
            f"{config.model_type}; take fewer layers instead"
        )
    groups = config.num_key_value_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Widths(config.intermediate_size, groups, config.num_attention_heads // groups, head_dim)


def narrow_config(config: dict[str, Any], own: Widths, neurons: int, groups: int) -> dict[str, Any]:
    """The decoder's configuration with so many neurons and groups in each layer."""
    return config | {
        "intermediate_size": neurons,
        "num_attention_heads": groups * own.heads,
        "num_key_value_heads": groups,
        "head_dim": own.head_dim,
    }


def with_hidden(config: PretrainedConfig, hidden: int) -> PretrainedConfig:
    """A decoder's configuration at another hidden width: heads as wide as before, as many and with as many neurons as
    is in proportion.

    No weights of the decoder fit another one. Key-value heads are rounded up to a number that divides the query heads.

    Raises:
        UserError: a family whose parts are not known, or a width that is not a whole number of heads.
    """
    if hidden == config.hidden_size:
        return config
    own, before = widths(config), config.hidden_size
    every = before // gcd(before, config.num_attention_heads)
    if hidden < 1 or hidden % every:
        raise UserError(f"width is {hidden}, but the heads of this decoder want a multiple of {every}")
    heads = config.num_attention_heads * hidden // before
    groups = next(number for number in range(1, heads + 1) if heads % number == 0 and number * own.heads >= heads)
    neurons = NEURONS_BY * ceil(own.neurons * hidden / before / NEURONS_BY)
    told = narrow_config(config.to_dict(), replace(own, heads=heads // groups), neurons, groups)
    return type(config).from_dict(told | {"hidden_size": hidden})


def narrow_state(
    state: dict[str, Tensor], own: Widths, neurons: Sequence[Tensor], groups: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Weights of what is kept.

    Args:
        state: the decoder's, under any prefix.
        own: its widths.
        neurons: for each layer (n,) int, places of those that stay.
        groups: for each layer (g,) int, of those that stay.
    """
    return {name: _kept(name, value, own, neurons, groups) for name, value in state.items()}


def _kept(name: str, value: Tensor, own: Widths, neurons: Sequence[Tensor], groups: Sequence[Tensor]) -> Tensor:
    found = PART.fullmatch(name)
    if found is None:
        return value
    layer, part, what = int(found["layer"]), found["part"], found["what"]
    if part in WIDE:
        return value[neurons[layer]]
    if part == "down":
        return value[:, neurons[layer]] if what == "weight" else value
    keys = _rows(groups[layer], own.head_dim)
    queries = _rows(groups[layer], own.head_dim * own.heads)
    if part in ("k", "v"):
        return value[keys]
    if part == "q":
        return value[queries]
    return value[:, queries] if what == "weight" else value  # o


def _rows(groups: Tensor, width: int) -> Tensor:
    """Rows of the groups, each of so many."""
    return (groups[:, None] * width + torch.arange(width)).flatten()
