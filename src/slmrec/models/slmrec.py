"""The recommender of the paper: item vectors through a decoder LLM and back.

    ids → item table (N+1, d) → input adapter (d → D) → first N layers of a decoder → final norm
        → output adapter (D → d) → user vector h_u;     score of item i = h_u · v_i with the same table

The text around the item slots is constant, so its keys and values are computed once a batch and shared; empty slots
are left out; positions stay those of the plain layout. The result equals running every slot and every word for every
user. Two readings of the sequence:

- "last-prompt-token" (paper): `before`, max_length item slots filled from the right, `after`; one user vector a
  history, read at the last token of `after`.
- "every-position": `before`, then the items; every item's state predicts the next one. No `after`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

import numpy as np
import peft
import polars as pl
import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import CacheLayerMixin

from slmrec.engine import Encoder, Precision, check_precision
from slmrec.engine.encoder import with_text_after
from slmrec.engine.precision import stored_bytes
from slmrec.errors import UserError
from slmrec.models.backbone import Pretrained, build_backbone, choose_layers, final_norm_name, load_pretrained
from slmrec.models.base import RecommenderConfig
from slmrec.models.dot_product import DotProductRecommender
from slmrec.models.items import FROZEN, ItemTable
from slmrec.models.titles import Titles
from slmrec.models.width import narrow_config, narrow_state, widths

Reading = Literal["every-position", "last-prompt-token"]
LAYER = re.compile(r"(?P<before>backbone\.(?:\w+\.)*?)(?P<layer>\d+)(?P<after>\..+)")
"""A weight inside a decoder layer: transformers keeps them in one list, whatever the decoder calls it."""


class SLMRecConfig(RecommenderConfig):
    """Shape of an LLM recommender; `backbone` is the decoder's own configuration, cut to the kept layers."""

    model_type = "slmrec"

    backbone: dict[str, Any] = field(default_factory=dict)
    """The decoder's configuration, cut to the kept layers and to a word table of one row."""
    kept_layers: list[int] | None = None
    """Places, from 0, of its layers in the decoder, where they are not the first; None: they are."""
    backbone_name: str = ""
    """Where the decoder came from."""
    backbone_vocabulary: int = 0
    """Parameters of the word table that was left behind."""
    pretrained: bool = True
    """Whether training started from the decoder's weights."""
    item_dim: int = 64
    """d, width of the item table."""
    reading: Reading = "every-position"
    """How a sequence is read, see the module."""
    prompt_before: str = ""
    """Text before the items."""
    prompt_after: str = ""
    """Text after them."""
    prompt_lengths: list[int] = field(default_factory=lambda: [0, 0])
    """Tokens of the two texts."""
    item_titles: bool = False
    """Whether items are read by their titles' words too, see `slmrec.models.titles`."""
    dropout: float = 0.0
    """Rate of dropout on what enters for items."""
    item_dropout: float = 0.0
    """Rate of dropout on item vectors."""
    lora: dict[str, Any] | None = None
    """peft's LoraConfig while LoRA is not merged."""

    def __post_init__(self, **kwargs: Any) -> None:
        if self.reading == "every-position" and self.prompt_after:
            raise UserError("reading 'every-position' reads each item's own state, so prompt_after must be empty")
        if self.reading == "last-prompt-token" and not self.prompt_after:
            raise UserError("reading 'last-prompt-token' needs a prompt_after to read at")
        super().__post_init__(**kwargs)


class SLMRec(DotProductRecommender):
    """An LLM recommender: D = width of the decoder, d = width of the item table."""

    kind = "slmrec"
    config_class = SLMRecConfig

    def __init__(self, config: SLMRecConfig) -> None:
        super().__init__(config)
        self.backbone = build_backbone(config.backbone)
        # The decoder's final norm is ours to apply, so that the state after its last layer can be had without it.
        name = final_norm_name(self.backbone)
        self.final_norm = getattr(self.backbone, name)
        setattr(self.backbone, name, nn.Identity())
        width = self.backbone.config.hidden_size
        before, after = config.prompt_lengths
        self.items = ItemTable(
            config.num_items,
            config.item_dim,
            config.text_dim,
            config.id_dropout,
            config.text_source,
            config.item_rank,
            config.item_dropout,
        )
        self.titles = Titles(config.num_items, width) if config.item_titles else None
        self.input_adapter = nn.Linear(config.item_dim, width)
        self.output_adapter = nn.Linear(width, config.item_dim)
        self.prompt_before = nn.Parameter(torch.zeros(before, width), requires_grad=False)
        self.prompt_after = nn.Parameter(torch.zeros(after, width), requires_grad=False)
        self.dropout = nn.Dropout(config.dropout)
        if config.lora:
            peft.inject_adapter_in_model(peft.LoraConfig(**config.lora), self.backbone)
        self.precision: Precision = "fp32"
        self._encoder: Encoder | None = None
        self._checkpointed = False
        self.post_init()

    @classmethod
    def from_backbone(cls, pretrained: Pretrained, items: ItemTable, config: SLMRecConfig) -> "SLMRec":
        """A recommender to be trained: pretrained layers, given item vectors, fresh adapters.

        Args:
            pretrained: the decoder's kept part, its two prompts being (before, after); with titles, where items are
                read by them.
            items: a table of N items; it is copied.
            config: without the fields that `pretrained` and `items` tell.
        """
        config.backbone = pretrained.config
        config.backbone_vocabulary = pretrained.vocabulary_parameters
        config.prompt_lengths = [len(prompt) for prompt in pretrained.prompts]
        config.num_items, config.item_dim = items.num_embeddings - 1, items.embedding_dim
        config.text_dim = 0 if items.text is None else items.text.shape[1]
        config.id_dropout, config.text_source = items.id_dropout, items.text_source
        config.item_rank, config.item_titles = items.rank, pretrained.titles is not None
        lora, config.lora = config.lora, None
        model = cls(config)
        norm = final_norm_name(build_backbone(pretrained.config))
        layers = {key: value for key, value in pretrained.state.items() if not key.startswith(f"{norm}.")}
        model.backbone.load_state_dict(layers)
        model.final_norm.load_state_dict(
            {key.split(".", 1)[1]: value for key, value in pretrained.state.items() if key not in layers}
        )
        model.prompt_before.data.copy_(pretrained.prompts[0])
        model.prompt_after.data.copy_(pretrained.prompts[1])
        if model.titles is not None:
            assert pretrained.titles is not None
            model.titles.describe(pretrained.titles)
        with torch.no_grad():
            model.items.load_state_dict(items.state_dict())
            # Items should enter the first layer at the scale of the words it was trained on.
            scale = pretrained.embedding_scale / (model.items.eval().table()[1:].norm(dim=1).mean() + 1e-12)
            model.items.train()
            model.input_adapter.weight.normal_(std=float(scale))
            model.input_adapter.bias.zero_()
            model.output_adapter.weight.normal_(std=model.output_adapter.in_features**-0.5)
            model.output_adapter.bias.zero_()
        if lora:
            config.lora = lora
            peft.inject_adapter_in_model(peft.LoraConfig(**lora), model.backbone)
        return model

    @property
    def num_layers(self) -> int:
        """Decoder layers."""
        return self.backbone.config.num_hidden_layers

    @property
    def scores_every_position(self) -> bool:
        return self.config.reading == "every-position"

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        return self.read_out(self.hidden(input_ids, lengths, (self.num_layers,))[0])

    def read_in(self, input_ids: Tensor) -> Tensor:
        """(…) item indices to (…, D) inputs of the first layer."""
        projected = self.input_adapter(self.items(input_ids))
        return projected if self.titles is None else self.titles(input_ids, projected)

    def read_out(self, states: Tensor) -> Tensor:
        """(…, D) states after the last layer to (…, d) user vectors."""
        return self.output_adapter(self.final_norm(states))

    def item_vectors(self) -> Tensor:
        return self.items.table()[1:]

    # -- inference --------------------------------------------------------------------------------------------

    @property
    def encoder(self) -> Encoder:
        """The fast path from histories to user vectors; in fp32 it follows later changes of the weights."""
        if self._encoder is None or self._encoder.device != self.device:
            self._encoder = Encoder(
                self.backbone,
                embed=self.read_in,
                read_out=self.read_out,
                before=self.prompt_before,
                after=self.prompt_after,
                slots=self.config.max_length,
                precision=self.precision,
            )
        return self._encoder

    def use_precision(self, precision: Precision) -> "SLMRec":
        check_precision(precision)
        self.precision, self._encoder = precision, None
        return self

    def _encode(self, histories: Sequence[np.ndarray]) -> Tensor:
        return self.encoder.encode(histories)

    def weight_bytes(self) -> int:
        rounded = [module.weight for module in self.backbone.modules() if isinstance(module, nn.Linear)]
        spared = sum(p.numel() * p.element_size() - stored_bytes(p, self.precision) for p in rounded)
        return super().weight_bytes() - spared

    def vocabulary_parameters(self) -> int:
        return self.config.backbone_vocabulary

    # -- new items --------------------------------------------------------------------------------------------

    def add_items(self, frame: pl.DataFrame) -> None:
        if self.titles is None:
            super().add_items(frame)
            return
        if not self.config.pretrained:
            raise UserError(
                "this model reads titles by random words, which were not kept; train one with pretrained weights to "
                "let new items in"
            )
        texts = frame["text"].cast(pl.String).fill_null("").to_list() if "text" in frame.columns else []
        if not all(texts) or len(texts) < len(frame):
            raise UserError("this model reads items by their titles; every new item needs its text")
        # What can fail comes before the model is changed.
        means = load_pretrained(self.config.backbone_name, 1, (), titles=texts).titles
        super().add_items(frame)
        assert means is not None
        self.titles = self.titles.extended(means)

    # -- training ---------------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> "SLMRec":
        """Switch to training or back; the fast path then starts from the weights as they are, see `ItemTable.train`."""
        self._encoder = None
        return super().train(mode)

    def hidden(self, input_ids: Tensor, lengths: Tensor, layers: Sequence[int]) -> Tensor:
        """States after the given layers (1 = after the first), before any final norm.

        Args:
            input_ids: (B, L) int, item indices, padded with `PADDING` on the right.
            lengths: (B,) int.
            layers: which layers' outputs.

        Returns:
            (K, B, R, D) float: R = L for the reading "every-position", 1 for "last-prompt-token".
        """
        vectors = self.dropout(self.read_in(input_ids))  # (B, L, D)
        before, after = self.config.prompt_lengths
        rows, steps = input_ids.shape
        positions = before + torch.arange(steps, device=input_ids.device).expand(rows, -1)  # (B, L)
        if after:
            vectors, positions = with_text_after(vectors, positions, lengths, self.prompt_after, self.config.max_length)
        cache, own = None, 0
        if self.training and self._checkpointed:
            # Checkpointed layers take no cache, so each row has the prompt before it.
            own = before
            vectors = torch.cat([self.prompt_before.to(vectors.dtype).expand(rows, -1, -1), vectors], dim=1)
            opening = torch.arange(own, device=positions.device).expand(rows, -1)
            positions = torch.cat([opening, positions], dim=1)
        else:
            cache = self._shared_prompt(rows)
        output = self.backbone(
            inputs_embeds=vectors,
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
            output_hidden_states=True,
        )
        picked = torch.stack([output.hidden_states[layer][:, own:] for layer in layers])  # (K, B, L + after, D)
        if not after:
            return picked
        last = lengths + after - 1  # the last token of the prompt follows the last item at once
        return picked[:, torch.arange(rows, device=lengths.device), last][:, :, None]

    def _shared_prompt(self, rows: int) -> DynamicCache | None:
        """Keys and values of the opening text, computed for one row and seen by all; gradients flow through."""
        before = self.config.prompt_lengths[0]
        if not before:
            return None
        cache = DynamicCache(config=self.backbone.config)
        self.backbone(
            inputs_embeds=self.prompt_before[None].to(self.input_adapter.weight.dtype),
            past_key_values=cache,
            use_cache=True,
        )
        for layer in cache.layers:
            assert isinstance(layer, CacheLayerMixin)
            assert layer.keys is not None
            assert layer.values is not None
            layer.keys = layer.keys.expand(rows, -1, -1, -1)
            layer.values = layer.values.expand(rows, -1, -1, -1)
        return cache

    # -- looking inside ---------------------------------------------------------------------------------------

    def with_layers(self, kept: Sequence[int], *, norm: bool = True) -> "SLMRec":
        """A copy that has only some of the layers; nothing is trained, so it tells what the others do.

        Args:
            kept: layers by their place from 0, in rising order.
            norm: keep the final norm; without it, states are read out raw.

        Raises:
            UserError: no layer, one that there is not, or layers out of order.
        """
        kept = list(kept)
        if not kept or kept != sorted(set(kept)) or not 0 <= kept[0] <= kept[-1] < self.num_layers:
            raise UserError(f"layers {kept} were asked for; give some of 0 to {self.num_layers - 1}, in rising order")
        places = [(self.config.kept_layers or range(self.num_layers))[layer] for layer in kept]
        cut = {
            "backbone": choose_layers(self.backbone.config, kept),
            "kept_layers": places if places != list(range(len(places))) else None,
        }
        config = SLMRecConfig(**{**self.config.to_dict(), **cut})
        model = SLMRec(config)
        place = {str(old): str(new) for new, old in enumerate(kept)}
        state = {}
        for name, value in self.state_dict().items():
            inside = LAYER.match(name)
            if inside is None:
                state[name] = value
            elif inside["layer"] in place:
                state[inside["before"] + place[inside["layer"]] + inside["after"]] = value
        if not norm:
            model.final_norm = nn.Identity()
            state = {name: value for name, value in state.items() if not name.startswith("final_norm.")}
        return self._copied(model, state)

    def with_width(self, neurons: Sequence[Tensor] | None = None, groups: Sequence[Tensor] | None = None) -> "SLMRec":
        """A copy that has only some of each layer's feed-forward neurons and attention heads; nothing is trained.

        Args:
            neurons: for each layer (n,) int, places of the neurons that stay, equally many in each; None: all.
            groups: for each layer (g,) int, of the key-value heads that stay, with their query heads; None: all.

        Raises:
            UserError: a decoder whose parts are not known, no unit, one that there is not, or layers that differ.
        """
        own = widths(self.backbone.config)
        chosen = []
        for what, given, number in (("neurons", neurons, own.neurons), ("groups", groups, own.groups)):
            kept = [torch.arange(number)] * self.num_layers if given is None else [each.cpu() for each in given]
            sizes = {len(each) for each in kept}
            if len(kept) != self.num_layers or len(sizes) != 1 or 0 in sizes:
                raise UserError(f"{what} of {self.num_layers} layers are needed, equally many and at least one in each")
            for each in kept:
                if each.unique().numel() != len(each) or not 0 <= int(each.min()) <= int(each.max()) < number:
                    raise UserError(f"a layer has {what} 0 to {number - 1}; give some of them, each once")
            chosen.append(kept)
        config = self.config.to_dict()
        config["backbone"] = narrow_config(config["backbone"], own, len(chosen[0][0]), len(chosen[1][0]))
        model = SLMRec(SLMRecConfig(**config))
        return self._copied(model, narrow_state(self.state_dict(), own, chosen[0], chosen[1]))

    def _copied(self, model: "SLMRec", state: Mapping[str, Tensor]) -> "SLMRec":
        """A copy of this model's with its weights, at rest."""
        model.load_state_dict(state)
        model.catalogue = self.catalogue
        nn.Module.to(model, self.device)
        return model.requires_grad_(False).eval()

    # -- which weights train ----------------------------------------------------------------------------------

    def choose_trained(self, *, items: bool) -> None:
        """Freeze what training must leave alone: with LoRA the decoder's own weights, and the item table on demand."""
        for name, parameter in self.named_parameters():
            of_decoder = name.startswith(("backbone.", "final_norm."))
            frozen_by_lora = bool(self.config.lora) and of_decoder and "lora_" not in name
            parameter.requires_grad = not (frozen_by_lora or name.startswith("prompt_") or name == "titles.means")
        for name, parameter in self.items.named_parameters():
            parameter.requires_grad = items and name not in FROZEN

    def checkpoint_layers(self) -> None:
        """Keep only what enters each layer for the backward pass, which then computes the layer again."""
        self.backbone.activation_checkpointing_enable({"use_reentrant": False})
        self._checkpointed = True

    def merge_lora(self) -> None:
        """Fold LoRA's updates into the weights they adapt; the model then is a plain one."""
        for name, module in list(self.backbone.named_modules()):
            if isinstance(module, LoraLayer):
                module.merge()
                self.backbone.set_submodule(name, module.get_base_layer())
        self.config.lora = None
        self._encoder = None
