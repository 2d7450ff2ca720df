"""What goes into a bundle's graph: from item vectors to the user vector, as a torch module that exports cleanly.

Inputs (B, L, d) vectors of the items that are read, padded on the right with anything, and (B,) lengths; output (B, d),
the vector after each history's last item. Sizes are never asked for as numbers, so that one graph serves all.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from slmrec.engine.decoder import FusedDecoder, fusible
from slmrec.engine.encoder import with_text_after
from slmrec.errors import UserError
from slmrec.export.llama import LlamaLayers
from slmrec.models import Caser, Classic, DotProductRecommender, Ensemble, Recommender, Residual, SLMRec
from slmrec.models.neighbours import Neighbours


def check_exportable(model: Recommender) -> DotProductRecommender:
    """The model that makes the user vectors, itself or in an ensemble with neighbours, if there is a graph of it.

    Raises:
        UserError: a kind of model whose scores are no dot products, LoRA that is not merged, items that are read by
            more than the vectors that they are scored with, or an ensemble of other models.
    """
    if isinstance(model, Ensemble):
        members = [member for member, weight in zip(model.members, model.weights, strict=True) if weight]
        encoders = [member for member in members if not isinstance(member, Neighbours)]
        if len(encoders) != 1 or isinstance(encoders[0], Ensemble):
            kinds = ", ".join(member.kind for member in encoders) or "none"
            raise UserError(
                f"beside the neighbours of this ensemble stand: {kinds}; a bundle holds the graph of one model, so "
                "combine one with item-knn, sequential-rules or text-knn, or teach a student by the ensemble (slmrec "
                "distill) and export that one"
            )
        return check_exportable(encoders[0])
    if isinstance(model, Residual) or (isinstance(model, SLMRec) and model.titles is not None):
        what = "adds an llm to a classic model" if isinstance(model, Residual) else "reads items by their titles too"
        raise UserError(
            f"this model {what}, and a bundle's graph takes one item table alone; teach a plain student by it (slmrec "
            "distill) and export that one"
        )
    if not isinstance(model, Classic | SLMRec):
        raise UserError(
            f"a model of kind {model.kind} makes no user vectors, so there is no graph to export; kinds that can be "
            "exported are slmrec (the LLM), sasrec, esasrec, gru4rec, caser and bert4rec"
        )
    if model.device.type != "cpu":
        raise UserError(f"the model is on {model.device}; move it to the CPU, which its bundle is for")
    if isinstance(model, SLMRec) and model.config.lora:
        raise UserError("this model's LoRA is not merged; call its merge_lora() and save it before it is exported")
    return model


def encoder_graph(model: DotProductRecommender) -> nn.Module:
    """The network of a recommender that `check_exportable` let pass, without its item table."""
    if isinstance(model, Caser):
        return CaserGraph(model).eval()
    if isinstance(model, Classic):
        return ClassicGraph(model).eval()
    assert isinstance(model, SLMRec)
    return LLMGraph(model).eval()


class ClassicGraph(nn.Module):
    """Any classic neural model: its own `states`, read at the last item."""

    def __init__(self, model: Classic) -> None:
        super().__init__()
        self.model = model
        self.once = not model.scores_every_position

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        states = self.model.states(vectors, lengths)  # (B, R, D)
        return states[:, 0] if self.once else at(states, lengths - 1)[:, 0]


class CaserGraph(nn.Module):
    """A Caser reads its window alone, so that is cut out first; nothing then depends on the history's length."""

    def __init__(self, model: Caser) -> None:
        super().__init__()
        self.model = model

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        window = self.model.config.window
        padded = F.pad(vectors, (0, 0, window, 0))  # zeros stand before the first item
        places = lengths[:, None] + torch.arange(window)  # (B, W)
        last = padded.gather(1, places[:, :, None].expand(-1, -1, vectors.shape[2]))  # (B, W, D)
        return self.model.states(last, lengths)[:, -1]


class LLMGraph(nn.Module):
    """An LLM recommender: adapters, the text after the items, and the decoder's layers behind a constant prompt."""

    def __init__(self, model: SLMRec) -> None:
        super().__init__()
        self.input_adapter, self.final_norm, self.output_adapter = (
            model.input_adapter,
            model.final_norm,
            model.output_adapter,
        )
        self.slots = model.config.max_length
        self.register_buffer("text_after", model.prompt_after.detach().clone())
        longest = self.slots + len(model.prompt_after)
        with torch.inference_mode():
            prompt = model.encoder._shared_prompt()
        prompt = None if prompt is None else prompt.clone()
        # Angles that depend on a sequence's length fit into no table.
        self.layers = (
            LlamaLayers(model.backbone, prompt, longest)
            if fusible(model.backbone) and not FusedDecoder(model.backbone, "fp32").grows
            else AnyLayers(model.backbone, prompt)
        )

    text_after: Tensor

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        inputs = self.input_adapter(vectors)  # (B, L, D)
        places = None
        read = lengths - 1
        if self.text_after.shape[0]:
            first = torch.zeros_like(vectors[:, :, 0], dtype=torch.int64)
            inputs, places = with_text_after(inputs, first, lengths, self.text_after, self.slots)
            places = places.clamp(max=self.slots + self.text_after.shape[0] - 1)  # padding would stand further
            read = read + self.text_after.shape[0]
        states = self.layers(inputs, places, read)  # (B, 1, D)
        return self.output_adapter(self.final_norm(states))[:, 0]


class AnyLayers(nn.Module):
    """Any decoder, through transformers' own forward."""

    def __init__(self, backbone: PreTrainedModel, prompt: Tensor | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.config = backbone.config
        self.register_buffer("prompt", prompt)

    prompt: Tensor | None

    def forward(self, inputs: Tensor, places: Tensor | None, read: Tensor) -> Tensor:
        """(B, 1, D) states after the last layer at the read positions, of inputs (B, L, D) at places (B, L)."""
        cache = DynamicCache(config=self.config)
        before = 0
        if self.prompt is not None:
            before = self.prompt.shape[4]
            for number in range(self.prompt.shape[0]):
                keys, values = (kept.expand(inputs.shape[0], -1, -1, -1) for kept in self.prompt[number])
                cache.update(keys, values, number)
        if places is None:
            places = torch.arange(inputs.shape[1]).expand(inputs.shape[0], -1)
        states = self.backbone(
            inputs_embeds=inputs, position_ids=places + before, past_key_values=cache, use_cache=True
        ).last_hidden_state
        return at(states, read)


def at(states: Tensor, read: Tensor) -> Tensor:
    """(B, 1, D): of (B, L, D), one position of each row."""
    return states.gather(1, read[:, None, None].expand(-1, 1, states.shape[2]))
