"""The LLaMA family's layers written for few and large operators, since a small model's time goes to their number.

One product gives queries, keys and values, another gate and up, and queries and keys are turned to their positions
together; attention's scale stands in the queries' weights. In the last layer only keys and values are computed of all
positions, everything else of the read one. Which families these are `engine.decoder.fusible` says.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from slmrec.engine.decoder import FusedDecoder


class LlamaLayers(nn.Module):
    """All layers behind a constant prompt.

    Args:
        backbone: the decoder, its final norm taken out.
        prompt: (K, 2, 1, H, P, E) keys and values of the text before the items, or None.
        longest: most positions behind the prompt.
    """

    def __init__(self, backbone: PreTrainedModel, prompt: Tensor | None, longest: int) -> None:
        super().__init__()
        family: Any = backbone
        self.before = 0 if prompt is None else prompt.shape[4]
        with torch.no_grad():
            everywhere = torch.arange(self.before, self.before + longest)[None]
            cos, sin = FusedDecoder(backbone, "fp32")._compute_angles(everywhere)
            last = len(family.layers) - 1
            self.layers = nn.ModuleList(
                LlamaLayer(layer, None if prompt is None else prompt[number], last=number == last)
                for number, layer in enumerate(family.layers)
            )
        self.register_buffer("cos", cos[0].clone())  # (longest, 1, E)
        self.register_buffer("sin", sin[0].clone())
        self.register_buffer("mask", torch.full((longest, self.before + longest), -torch.inf).triu(self.before + 1))

    cos: Tensor
    sin: Tensor
    mask: Tensor

    def forward(self, inputs: Tensor, places: Tensor | None, read: Tensor) -> Tensor:
        """(B, 1, D) states after the last layer at the read positions, of inputs (B, L, D) at places (B, L)."""
        length = inputs.shape[1]
        if places is None:
            turn = (self.cos[:length], self.sin[:length])  # (L, 1, E)
            own = (self.cos[read][:, None], self.sin[read][:, None])  # (B, 1, 1, E)
        else:
            turn = (self.cos[places], self.sin[places])  # (B, L, 1, E)
            own = (self.cos[-1:], self.sin[-1:])  # text after the items ends at the same place in every row
        mask = self.mask[:length, : self.before + length]
        states = inputs
        for layer in self.layers[:-1]:
            states = layer(states, turn, mask)
        last: Any = self.layers[-1]
        return last.read(states, turn, own, self.mask[read][:, None, None, None, : self.before + length], read)


class LlamaLayer(nn.Module):
    """One layer; `forward` gives all positions, `read`, of the last layer, one of each row."""

    def __init__(self, layer: Any, prompt: Tensor | None, last: bool) -> None:
        super().__init__()
        attention, mlp = layer.self_attn, layer.mlp
        self.width = attention.head_dim
        self.heads = attention.q_proj.out_features // self.width
        self.groups = attention.k_proj.out_features // self.width
        self.attention_norm, self.mlp_norm = (
            RootMeanSquare(layer.input_layernorm),
            RootMeanSquare(layer.post_attention_layernorm),
        )
        query = joined([attention.q_proj])
        for own in query.parameters():
            own.mul_(attention.scaling)
        if last:
            self.query, self.key_value = query, joined([attention.k_proj, attention.v_proj])
        else:
            self.query_key_value = joined([query, attention.k_proj, attention.v_proj])
        self.output = attention.o_proj
        self.gate_up, self.down = joined([mlp.gate_proj, mlp.up_proj]), mlp.down_proj
        self.register_buffer("prompt", None if prompt is None else prompt.clone())

    prompt: Tensor | None

    def forward(self, states: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        inner = self.query_key_value(self.attention_norm(states)).unflatten(-1, (-1, self.width))
        turned = turned_to(inner[:, :, : self.heads + self.groups], turn)
        query, key = turned[:, :, : self.heads], turned[:, :, self.heads :]
        return self.mixed(states, query, key, inner[:, :, self.heads + self.groups :], mask)

    def read(
        self,
        states: Tensor,
        turn: tuple[Tensor, Tensor],
        own: tuple[Tensor, Tensor],
        mask: Tensor,
        read: Tensor,
    ) -> Tensor:
        """(B, 1, D): the layer's output at the read position of each row alone."""
        normed = self.attention_norm(states)
        inner = self.key_value(normed).unflatten(-1, (-1, self.width))
        key = turned_to(inner[:, :, : self.groups], turn)
        where = read[:, None, None].expand(-1, 1, states.shape[2])
        query = turned_to(self.query(normed.gather(1, where)).unflatten(-1, (-1, self.width)), own)
        return self.mixed(states.gather(1, where), query, key, inner[:, :, self.groups :], mask)

    def mixed(self, states: Tensor, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """Attention's and the MLP's part added to (B, R, D); queries (B, R, Hq, E), keys and values (B, L, H, E)."""
        keys, values = key.permute(0, 2, 3, 1), value.transpose(1, 2)  # (B, H, E, L), (B, H, L, E)
        if self.prompt is not None:
            before = self.prompt.expand(-1, states.shape[0], -1, -1, -1)  # (2, B, H, P, E)
            keys = torch.cat([before[0].transpose(2, 3), keys], dim=3)
            values = torch.cat([before[1], values], dim=2)
        # All query heads of a key-value head go through one product.
        together = query.unflatten(2, (self.groups, -1)).permute(0, 2, 3, 1, 4)  # (B, H, Hq/H, R, E)
        weights = together.flatten(2, 3) @ keys  # (B, H, Hq/H · R, T)
        weights = (weights.unflatten(2, (self.heads // self.groups, -1)) + mask).softmax(dim=-1)
        mixed = (weights.flatten(2, 3) @ values).unflatten(2, (self.heads // self.groups, -1))
        states = states + self.output(mixed.permute(0, 3, 1, 2, 4).flatten(2))
        gate, up = self.gate_up(self.mlp_norm(states)).chunk(2, dim=-1)
        return states + self.down(F.silu(gate) * up)


class RootMeanSquare(nn.Module):
    """transformers' own, in the words that onnxruntime and OpenVINO recognise as one operator."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.weight, self.epsilon = norm.weight, norm.variance_epsilon

    def forward(self, states: Tensor) -> Tensor:
        return states / torch.sqrt(states.pow(2).mean(-1, keepdim=True) + self.epsilon) * self.weight


def joined(modules: Sequence[nn.Linear]) -> nn.Linear:
    """One linear map that gives the outputs of several, one behind the other."""
    biased = any(module.bias is not None for module in modules)
    whole = nn.Linear(modules[0].in_features, sum(module.out_features for module in modules), bias=biased)
    whole.requires_grad_(False)
    weights: list[Tensor] = [module.weight for module in modules]
    whole.weight.copy_(torch.cat(weights))
    if biased:
        own: list[Tensor] = [
            torch.zeros(module.out_features) if module.bias is None else module.bias for module in modules
        ]
        whole.bias.copy_(torch.cat(own))
    return whole


def turned_to(heads: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions of (B, L, H, E): the halves (x, y) become (x cos - y sin, y cos + x sin); sines come signed."""
    left, right = heads.chunk(2, dim=-1)
    return heads * turn[0] + torch.cat([right, left], dim=-1) * turn[1]
