"""Shape and training of LLM recommenders, and of those that are students."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from slmrec.errors import UserError
from slmrec.training.options.checks import check_rates
from slmrec.training.options.training import TrainingOptions


@dataclass(frozen=True)
class StudentOptions:
    """An LLM recommender beside a teacher whose backbone, prompt and reading it shares."""

    layers: int = 4
    """Layers kept, from the first, if not by layers_by."""
    width: int = 0
    """Hidden width of a decoder of random weights, with heads and neurons in proportion; 0: its teacher's, or else the
    backbone's own width, and its weights. With form "paper" or "published" the teacher must be as wide."""
    train_items: bool = True
    """Train the item table, or leave it as the classic model made it (the paper does)."""
    dropout: float = 0.0
    """Rate of dropout on the projected item vectors."""
    item_dropout: float = 0.0
    """Rate of dropout on item vectors, those read and those scored with, as a classic model's."""
    lora_rank: int = 0
    """Rank of LoRA on a frozen backbone; 0 trains all weights of the kept layers."""
    lora_alpha: float = 16.0
    """LoRA's scale numerator: updates are multiplied by lora_alpha / lora_rank."""
    lora_dropout: float = 0.05
    """Rate of dropout on LoRA's input."""
    lora_targets: tuple[str, ...] = ("gate_proj", "up_proj", "down_proj")
    """Names of the backbone's linear layers that LoRA adapts."""
    neurons: int = 0
    """Feed-forward neurons kept in each layer, those that matter most in its teacher; 0: all. Only for a student whose
    distillation.start is teacher."""
    head_groups: int = 0
    """Key-value heads kept in each layer, with the query heads that share them, chosen in the same way; 0: all."""
    layers_by: Literal["", "influence", "contribution"] = ""
    """Which of its teacher's layers are kept: those that turn a state furthest, or those that add most to the true
    item's margin, on training histories (`evaluation/layer_roles.py`); empty: the first. Only for a student whose
    distillation.start is teacher."""
    gradient_checkpointing: bool = False
    """Keep only what enters each layer and compute the rest again in the backward pass: less memory, a third slower."""
    training: TrainingOptions = field(default_factory=TrainingOptions)
    """Its training."""

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise UserError(f"layers is {self.layers}, but at least 1 must be kept")
        if self.width < 0:
            raise UserError(f"width is {self.width}, but cannot be negative; 0 takes the backbone's")
        check_rates(self, "dropout", "item_dropout", "lora_dropout")
        for name in ("neurons", "head_groups"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} is {getattr(self, name)}, but cannot be negative; 0 keeps all")
        if self.lora_rank and not self.lora_targets:
            raise UserError(f"lora_rank is {self.lora_rank}, but lora_targets names no layer to adapt")

    def beside(self, teacher: "LLMOptions") -> "LLMOptions":
        """The student as an LLM recommender of its own: what it shares is the teacher's."""
        own = {name: getattr(self, name) for name in StudentOptions.__dataclass_fields__}
        return replace(teacher, **own | {"width": self.width or teacher.width})

    def check_start(self, start: str) -> None:
        """See that there is a trained model to cut from where something is to be cut out of one, and else none.

        Raises:
            UserError: there is none, as ``start`` is not "teacher"; or a model of its own width is to start from one.
        """
        if self.width and start != "pretrained":
            raise UserError(
                f"width is {self.width}, which takes random weights, but start '{start}' has the student begin as its "
                "teacher; drop one of them"
            )
        for name in ("neurons", "head_groups", "layers_by"):
            if getattr(self, name) and start != "teacher":
                raise UserError(
                    f"{name} is {getattr(self, name)}, but which ones to keep is seen in a trained model, and this "
                    "student starts from none; take slmrec distill --start teacher"
                )

    @property
    def lora(self) -> dict[str, Any] | None:
        """peft's LoraConfig; None where all weights train."""
        if not self.lora_rank:
            return None
        return {
            "r": self.lora_rank,
            "lora_alpha": self.lora_alpha,
            "lora_dropout": self.lora_dropout,
            "target_modules": list(self.lora_targets),
            "bias": "none",
        }


@dataclass(frozen=True)
class LLMOptions(StudentOptions):
    """An LLM recommender of its own."""

    layers: int = 8
    """Layers kept, from the first."""
    backbone: str = "smollm2-135m"
    """Decoder: a packaged one, a Hugging Face name, a folder, or a trained LLM recommender, whose own is taken."""
    pretrained: bool = True
    """Start from the decoder's weights; false: from random ones of the same shape."""
    max_length: int = 50
    """Most recent items of a history that are read."""
    reading: Literal["every-position", "last-prompt-token"] = "every-position"
    """Each item's state predicts the next; or one user vector read at the prompt's last token (the paper)."""
    prompt_before: str = ""
    """Text before the items."""
    prompt_after: str = ""
    """Text after the items; only with reading "last-prompt-token"."""
    item_titles: bool = False
    """Items are read by their titles' words, in the backbone's own word vectors, and by their vectors beside them."""
    residual: Literal["", "frozen", "trained"] = ""
    """The classic model that the item table is from scores beside the LLM, which adds to it through a gate; it stays as
    it is, or is trained on; empty: the LLM scores alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reading == "every-position" and self.prompt_after:
            raise UserError("prompt_after needs reading 'last-prompt-token'; 'every-position' reads the items' states")
        if self.reading == "last-prompt-token" and not self.prompt_after:
            raise UserError("reading 'last-prompt-token' needs a prompt_after, whose last token is read")
