"""A decoder's layers at inference, exact: nothing is computed that is not read.

Two forms of one thing. `FusedDecoder` knows the LLaMA family (RMSNorm, rotary positions, grouped-query attention,
SwiGLU) and computes in the last layer keys and values of all positions, but everything else of the read ones only.
`PlainDecoder` takes any other decoder through transformers' own forward.

Keys and values go in and out as one tensor (K, 2, B, H, T, E): K layers, keys before values, H key-value heads, T
positions, E a head's width. Keys are stored turned to their positions.
"""

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin

from slmrec.engine.precision import Precision, linears
from slmrec.errors import UserError

FUSED = ("llama", "mistral", "qwen2")


class Decoder(Protocol):
    """Layers of a decoder, ready to run."""

    def __call__(
        self,
        inputs: Tensor,
        positions: Tensor,
        read: Tensor,
        past: Tensor | None,
        visible: Tensor | None,
        keep: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """Run new positions behind cached ones.

        Args:
            inputs: (B, L, D) float, what enters the first layer; rows are filled up on the right.
            positions: (B, L) int.
            read: (B,) int, which of the L to return a state of.
            past: (K, 2, B or 1, H, P, E) of earlier positions, or None; a single row is seen by all.
            visible: (B, P) bool, which earlier positions a row sees, or None for all.
            keep: whether to return keys and values of the new positions.

        Returns:
            (B, D) states after the last layer, before any final norm, and (K, 2, B, H, L, E) or None.
        """


def decoder(backbone: PreTrainedModel, precision: Precision = "fp32") -> Decoder:
    """The fastest exact form of a backbone whose final norm has been taken out.

    Raises:
        UserError: a reduced precision of a family that only transformers knows.
    """
    if fusible(backbone):
        return FusedDecoder(backbone, precision)
    if precision != "fp32":
        raise UserError(
            f"precision '{precision}' is there for decoders of the families {', '.join(FUSED)} with LoRA merged, "
            f"but this one is a {backbone.config.model_type}; use fp32"
        )
    return PlainDecoder(backbone)


def fusible(backbone: PreTrainedModel) -> bool:
    """Whether `FusedDecoder` knows this family; unmerged LoRA or a sliding window keep a backbone out."""
    config = backbone.config
    if config.model_type not in FUSED or config.hidden_act != "silu":
        return False
    if getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True):
        return False
    projections = [module for name, module in backbone.named_modules() if name.endswith("_proj")]
    return all(type(module) is nn.Linear for module in projections)


class FusedDecoder:
    """The LLaMA family. In fp32 it follows later changes of the backbone's weights."""

    def __init__(self, backbone: PreTrainedModel, precision: Precision) -> None:
        family: Any = backbone
        self.rotary = family.rotary_emb
        self.weight = next(backbone.parameters())  # what angles are computed like
        self.grows = getattr(self.rotary, "rope_type", "") in ("dynamic", "longrope")  # angles that depend on length
        self.table: tuple[Tensor, Tensor] | None = None
        self.layers = [_Layer(layer, backbone.config, precision) for layer in family.layers]

    def __call__(
        self,
        inputs: Tensor,
        positions: Tensor,
        read: Tensor,
        past: Tensor | None,
        visible: Tensor | None,
        keep: bool,
    ) -> tuple[Tensor, Tensor | None]:
        cos, sin = self._angles(positions)
        scale = self.layers[0].scale
        turns = (cos * scale, sin * scale, cos, sin)  # of queries, which carry attention's scale, and of keys
        mask = _mask(inputs.shape[1], past, visible, inputs)
        rows = torch.arange(len(inputs), device=inputs.device)
        states, kept = inputs, []
        for number, layer in enumerate(self.layers):
            query, keys, values = layer.project(states, *turns)
            if keep:
                kept.append(torch.stack([keys, values]))
            if past is not None:
                keys, values = (
                    torch.cat([old.expand(len(inputs), -1, -1, -1), new], dim=2)
                    for old, new in zip(past[number], (keys, values), strict=True)
                )
            if number == len(self.layers) - 1:  # only what is read goes on
                states, query = states[rows, read][:, None], query[rows, read][:, None]
                mask = mask[rows if len(mask) > 1 else 0, read][:, None] if mask is not None else None
            states = layer.mix(states, query, keys, values, mask)
        return states[:, 0], torch.stack(kept) if keep else None

    def _angles(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines, (B, L, 1, E) each, from a table that grows as positions do."""
        if self.grows:
            return self._compute_angles(positions)
        needed = int(positions.max()) + 1
        if self.table is None or self.table[0].shape[0] < needed or self.table[0].device != positions.device:
            cos, sin = self._compute_angles(torch.arange(max(needed, 64), device=positions.device)[None])
            self.table = (cos[0], sin[0])
        return self.table[0][positions], self.table[1][positions]

    def _compute_angles(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = (angle[:, :, None] for angle in self.rotary(self.weight, positions))
        left, right = sin.chunk(2, dim=-1)
        return cos, torch.cat([-left, right], dim=-1)


class _Layer:
    """One layer in two halves: what enters attention, and what follows from it."""

    def __init__(self, layer: Any, config: Any, precision: Precision) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.enter = linears((attention.q_proj, attention.k_proj, attention.v_proj), precision)
        self.leave = linears((attention.o_proj,), precision)
        self.widen = linears((mlp.gate_proj, mlp.up_proj), precision)
        self.narrow = linears((mlp.down_proj,), precision)
        self.norms = (layer.input_layernorm, layer.post_attention_layernorm)
        self.epsilon = torch.tensor(config.rms_norm_eps, device=layer.input_layernorm.weight.device)
        self.width = attention.head_dim
        self.scale = attention.scaling

    def project(
        self, states: Tensor, query_cos: Tensor, query_sin: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, L, Hq, E), keys and values (B, H, L, E), of states (B, L, D)."""
        inner = self._normalised(states, 0)
        query, key, value = (projected.unflatten(-1, (-1, self.width)) for projected in self.enter(inner))
        return (
            _turn(query, query_cos, query_sin),
            _turn(key, cos, sin).transpose(1, 2),
            value.transpose(1, 2),
        )

    def mix(self, states: Tensor, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """The layer's output at states (B, R, D) with queries (B, R, Hq, E), over keys and values (B, H, T, E)."""
        rows, reads, heads, width = query.shape
        groups = keys.shape[1]
        # All query heads of a key-value head go through one product: several times faster on CPUs than repeating keys.
        query = query.unflatten(2, (groups, -1)).permute(0, 2, 3, 1, 4)  # (B, H, Hq/H, R, E)
        weights = (query.flatten(2, 3) @ keys.transpose(2, 3)).unflatten(2, (-1, reads))
        if mask is not None:
            weights += mask[:, None, None]
        weights = weights.softmax(dim=-1).flatten(2, 3)  # (B, H, Hq/H · R, T)
        mixed = (weights @ values).unflatten(2, (-1, reads)).permute(0, 3, 1, 2, 4).reshape(rows, reads, heads * width)
        (mixed,) = self.leave(mixed)
        states = states + mixed
        gate, up = self.widen(self._normalised(states, 1))
        (inner,) = self.narrow(F.silu(gate).mul_(up))
        return states + inner

    def _normalised(self, states: Tensor, which: int) -> Tensor:
        """RMSNorm, in fewer passes than the built-in one takes on CPUs."""
        length = torch.linalg.vector_norm(states, dim=-1, keepdim=True)
        scale = torch.addcmul(self.epsilon, length, length, value=1 / states.shape[-1]).rsqrt_()
        return (states * scale).mul_(self.norms[which].weight)


def _turn(heads: Tensor, cos: Tensor, signed_sin: Tensor) -> Tensor:
    """Rotary positions: the two halves (x, y) of (B, L, H, E) become (x cos - y sin, y cos + x sin)."""
    return torch.addcmul(heads * cos, heads.roll(heads.shape[-1] // 2, dims=-1), signed_sin)


def _mask(length: int, past: Tensor | None, visible: Tensor | None, like: Tensor) -> Tensor | None:
    """(1 or B, L, P + L), 0 where a position may look and -inf elsewhere; None where all may look everywhere."""
    if length == 1 and visible is None:
        return None
    earlier = 0 if past is None else past.shape[4]
    causal = like.new_full((length, earlier + length), -torch.inf).triu(earlier + 1)[None]
    if visible is None:
        return causal
    hidden = like.new_zeros(visible.shape).masked_fill(~visible, -torch.inf)
    return causal + F.pad(hidden, (0, length))[:, None]


class PlainDecoder:
    """Any decoder."""

    def __init__(self, backbone: PreTrainedModel) -> None:
        self.backbone = backbone

    def __call__(
        self,
        inputs: Tensor,
        positions: Tensor,
        read: Tensor,
        past: Tensor | None,
        visible: Tensor | None,
        keep: bool,
    ) -> tuple[Tensor, Tensor | None]:
        rows, length = inputs.shape[:2]
        cache = DynamicCache(config=self.backbone.config)
        earlier = 0
        if past is not None:
            earlier = past.shape[4]
            for number, (keys, values) in enumerate(past):
                cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        mask = None
        if visible is not None:
            mask = F.pad(visible.long(), (0, length), value=1)
        states = self.backbone(
            inputs_embeds=inputs,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        read_states = states[torch.arange(rows, device=inputs.device), read]
        if not keep:
            return read_states, None
        new = []
        for layer in cache.layers:
            assert isinstance(layer, CacheLayerMixin)
            assert layer.keys is not None
            assert layer.values is not None
            new.append(torch.stack([layer.keys[:, :, earlier:], layer.values[:, :, earlier:]]))
        return read_states, torch.stack(new)
