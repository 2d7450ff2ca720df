"""How a model is trained: one frozen dataclass, the only home of these defaults."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from slmrec.errors import UserError

PATIENT_EPOCHS = 20
"""Epochs that are expected where early stopping may end them: it took 12 to 25 in benchmarks/results."""


@dataclass(frozen=True)
class TrainingOptions:
    """Optimiser, schedule, stopping and loss of one training run."""

    epochs: int = 10
    """Passes over the training sequences."""
    max_steps: int = -1
    """Optimiser steps after which training ends, whatever the epochs; -1 for no limit."""
    batch_size: int = 128
    """Sequences an optimiser step on one device; gradient accumulation splits it into smaller pieces."""
    batch_positions: int = 0
    """Positions a step should have: where histories are short, a step takes as many times `batch_size` as come nearest
    to it. An LLM's step costs much that does not depend on how little is in it."""
    gradient_accumulation: int = 1
    """Pieces a batch is computed in; same gradients, less memory."""
    learning_rate: float = 1e-3
    """Peak learning rate of everything but the pretrained backbone."""
    backbone_learning_rate: float | None = None
    """Peak learning rate of the backbone's own weights (LoRA's included); unset: `learning_rate`."""
    weight_decay: float = 0.0
    """AdamW's decoupled weight decay; never applied to biases, norms and item vectors."""
    adam_beta2: float = 0.999
    """AdamW's second-moment decay."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises from 0."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """What the learning rate does after the warm-up; linear and cosine end at 0."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this global L2 norm."""
    patience: int = 0
    """Evaluations without a better validation NDCG@10 before training stops; 0: never."""
    evaluate_every: int = 1
    """Epochs between evaluations on the validation split; the best one's weights are kept."""
    valid_users: int | None = None
    """Users (drawn once by the seed) that validation during training ranks for; unset: all."""
    loss: Literal["softmax", "sampled-softmax", "gbce"] = "softmax"
    """Cross-entropy over all items, over shared sampled negatives, or gBCE over them."""
    negatives: int = 1024
    """Negatives drawn uniformly a step and shared by all positions (sampled losses only)."""
    logq: bool = False
    """Correct sampled softmax for how often an item is drawn as a negative."""
    gbce_t: float = 0.75
    """gBCE's calibration t between 0 (plain BCE) and 1 (fully calibrated)."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Number format of the forward and backward pass."""
    seed: int = 0
    """Seeds initial weights, order, dropout and negatives."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "gradient_accumulation", "evaluate_every", "negatives"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}, but must be at least 1")
        if self.batch_positions < 0:
            raise UserError(f"batch_positions is {self.batch_positions}, but must be at least 0")
        if self.valid_users is not None and self.valid_users < 1:
            raise UserError(f"valid_users is {self.valid_users}, but must be at least 1")
        if self.epochs < 1 and self.max_steps < 1:
            raise UserError(f"epochs is {self.epochs} and max_steps {self.max_steps}: one must be at least 1")
        if self.batch_size % self.gradient_accumulation:
            raise UserError(
                f"batch_size {self.batch_size} does not divide into {self.gradient_accumulation} pieces of "
                "gradient_accumulation; choose a divisor"
            )
        if not 0 <= self.gbce_t <= 1:
            raise UserError(f"gbce_t is {self.gbce_t}, but must lie between 0 and 1")
        if self.logq and self.loss != "sampled-softmax":
            raise UserError(f"logq corrects sampled-softmax, but the loss is {self.loss}; drop one of the two")

    def filled(self, lengths: Sequence[int]) -> "TrainingOptions":
        """With the batch size that `batch_positions` asks for, given the training sequences' lengths."""
        once = self.batch_size * sum(lengths) / max(1, len(lengths))
        times = max(1, round(self.batch_positions / once)) if once else 1
        return replace(self, batch_size=times * self.batch_size, batch_positions=0)


def _patient(epochs: int = 100, patience: int = 5) -> TrainingOptions:
    """Training until validation gets no better."""
    return TrainingOptions(epochs=epochs, patience=patience)


@dataclass(frozen=True)
class ClassicOptions:
    """What the shape and training of all classic neural models have."""

    hidden_size: int = 128
    """Width of item vectors and states."""
    dropout: float = 0.5
    """Rate of dropout on inputs and inside."""
    max_length: int = 50
    """Most recent items of a history that are read."""
    item_text: str = ""
    """What items' text vectors come from: minilm-l6, an encoder's Hugging Face name or folder, or a Parquet file with
    item_id and vector; empty: items have ids alone. LLM recommenders that start from this item table take it over."""
    id_dropout: float = 0.0
    """Share of items whose id part is left out in training, so that text alone learns to carry one; only with text."""
    training: TrainingOptions = field(default_factory=_patient)
    """Its training."""

    def __post_init__(self) -> None:
        if self.id_dropout and not self.item_text:
            raise UserError(f"id_dropout is {self.id_dropout}, but items have no text to do without ids; set item_text")
        for name in ("dropout", "id_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}, but must be at least 0 and below 1")
        for name in ("hidden_size", "max_length"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}, but must be at least 1")


@dataclass(frozen=True)
class TransformerOptions(ClassicOptions):
    """What those of transformers over item vectors have."""

    num_blocks: int = 2
    """Transformer blocks."""
    num_heads: int = 1
    """Attention heads."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_heads < 1 or self.hidden_size % self.num_heads:
            raise UserError(f"hidden_size {self.hidden_size} is not a multiple of num_heads {self.num_heads}")


@dataclass(frozen=True)
class SASRecOptions(TransformerOptions):
    """Shape and training of SASRec."""

    hidden_size: int = 64
    """Width of item vectors and states."""
    dropout: float = 0.3
    """Rate of dropout on inputs, attention and feed-forward."""
    training: TrainingOptions = field(default_factory=TrainingOptions)
    """Its training."""


@dataclass(frozen=True)
class ESASRecOptions(TransformerOptions):
    """Shape and training of eSASRec."""

    num_heads: int = 4
    """Attention heads."""


@dataclass(frozen=True)
class BERT4RecOptions(TransformerOptions):
    """Shape and training of BERT4Rec."""

    dropout: float = 0.2
    """Rate of dropout on inputs, attention and feed-forward."""
    num_heads: int = 2
    """Attention heads."""
    mask_share: float = 0.2
    """Share of a training sequence's items that are left out for the model to fill in, one at least."""
    last_share: float = 0.1
    """Share of training sequences in which the last item alone is left out, as at inference."""
    training: TrainingOptions = field(default_factory=lambda: _patient(epochs=200, patience=10))
    """Its training; few positions of a sequence are targets, so it wants more epochs than the others."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.mask_share < 1:
            raise UserError(f"mask_share is {self.mask_share}, but must lie between 0 and 1")
        if not 0 <= self.last_share <= 1:
            raise UserError(f"last_share is {self.last_share}, but must be at least 0 and at most 1")


@dataclass(frozen=True)
class GRU4RecOptions(ClassicOptions):
    """Shape and training of GRU4Rec."""

    state_size: int = 128
    """Width of the GRU's states."""
    num_layers: int = 1
    """GRU layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("state_size", "num_layers"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}, but must be at least 1")


@dataclass(frozen=True)
class CaserOptions(ClassicOptions):
    """Shape and training of Caser."""

    window: int = 5
    """Most recent items that a position sees."""
    horizontal_filters: int = 16
    """Filters of each height from 1 to the window's."""
    vertical_filters: int = 4
    """Weighted sums of the window's vectors."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("window", "horizontal_filters", "vertical_filters"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}, but must be at least 1")
        if self.window > self.max_length:
            raise UserError(
                f"window is {self.window}, but only the {self.max_length} items of max_length are read; "
                "lower the one or raise the other"
            )


@dataclass(frozen=True)
class NeighboursOptions:
    """What recommenders by neighbours have in common; they count or compare, and train nothing."""

    neighbours: int = 100
    """Items that are kept of each item, those that it points to most."""
    decay: float = 0.6
    """Factor by which an item of the history counts less for each later one; 1: all count alike."""
    max_length: int = 50
    """Most recent items of a history that are read."""

    def __post_init__(self) -> None:
        for name in ("neighbours", "max_length"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}, but must be at least 1")
        if not 0 < self.decay <= 1:
            raise UserError(f"decay is {self.decay}, but must be above 0 and at most 1")


@dataclass(frozen=True)
class ItemKNNOptions(NeighboursOptions):
    """Item-kNN: items that users have together."""

    shrinkage: float = 2.0
    """Added to the cosine's denominator: pairs that few users have count less."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shrinkage < 0:
            raise UserError(f"shrinkage is {self.shrinkage}, but cannot be negative")


@dataclass(frozen=True)
class SequentialRulesOptions(NeighboursOptions):
    """Sequential rules: items that come soon after each other."""

    decay: float = 0.8
    window: int = 3
    """Later events that an event makes a rule with; one that comes n events later counts 1 / n."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 1:
            raise UserError(f"window is {self.window}, but must be at least 1")


@dataclass(frozen=True)
class TextKNNOptions(NeighboursOptions):
    """Text-kNN: items whose texts are alike."""

    decay: float = 0.7
    item_text: str = "minilm-l6"
    """Where text vectors come from: `minilm-l6`, a Hugging Face encoder's name or folder, or a Parquet file with
    `item_id` and `vector`."""
    temperature: float = 0.1
    """By which cosines are divided before they become weights: a low one leaves all to the nearest."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.item_text:
            raise UserError("item_text is empty, but text-knn compares items by nothing else; name an encoder")
        if self.temperature <= 0:
            raise UserError(f"temperature is {self.temperature}, but must be above 0")


@dataclass(frozen=True)
class EnsembleOptions:
    """Models of the main job that teach beside the LLM teacher, where its student follows scores; they teach a SASRec
    too."""

    sasrecs: int = 1
    """SASRecs, each of a seed of its own; the job's classic model is the first."""
    item_knn: bool = False
    """Item-kNN teaches, too."""
    sequential_rules: bool = False
    """Sequential rules teach, too."""
    text_knn: bool = False
    """Text-kNN teaches, too, where items have text; it compares the vectors that SASRec has of it."""
    taught_dropout: float = 0.3
    """Dropout of the SASRec that is taught: scores are a softer aim than the next item, so less is learnt by heart."""

    def __post_init__(self) -> None:
        if self.sasrecs < 1:
            raise UserError(f"sasrecs is {self.sasrecs}, but must be at least 1")
        if not 0 <= self.taught_dropout < 1:
            raise UserError(f"taught_dropout is {self.taught_dropout}, but must be at least 0 and below 1")


@dataclass(frozen=True)
class StudentOptions:
    """An LLM recommender beside a teacher whose backbone, prompt and reading it shares."""

    layers: int = 4
    """Layers kept, from the first."""
    train_items: bool = True
    """Train the item table, or leave it as the classic model made it (the paper does)."""
    dropout: float = 0.0
    """Rate of dropout on the projected item vectors."""
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
    gradient_checkpointing: bool = False
    """Keep only what enters each layer and compute the rest again in the backward pass: less memory, a third slower."""
    training: TrainingOptions = field(default_factory=TrainingOptions)
    """Its training."""

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise UserError(f"layers is {self.layers}, but at least 1 must be kept")
        for name in ("neurons", "head_groups"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} is {getattr(self, name)}, but cannot be negative; 0 keeps all")
        if self.lora_rank and not self.lora_targets:
            raise UserError(f"lora_rank is {self.lora_rank}, but lora_targets names no layer to adapt")

    def beside(self, teacher: "LLMOptions") -> "LLMOptions":
        """The student as an LLM recommender of its own: what it shares is the teacher's."""
        return replace(teacher, **{name: getattr(self, name) for name in StudentOptions.__dataclass_fields__})

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


@dataclass(frozen=True)
class DistillationOptions:
    """How the teacher's states pull the student's."""

    blocks: int = 4
    """Blocks that teacher and student are both cut into (the paper's B)."""
    lambda1: float = 1.0
    """Weight of 1 - D_cos, the cosine distance of block ends."""
    lambda2: float = 0.1
    """Weight of D_norm, the squared L2 distance of block ends."""
    lambda3: float = 0.1
    """Weight of L_ms, the cross-entropy of the inner blocks."""
    contrastive: float = 0.0
    """Weight of L_con beside the paper's terms: each last state is told from the batch's others by its teacher's."""
    relational: float = 0.0
    """Weight of L_rel beside the paper's terms: last states lie among themselves as the teacher's do."""
    form: Literal["paper", "published", "scores"] = "paper"
    """The paper's equations; its published code: sums over blocks, unsquared distance, last block after its norm; or
    "scores": any student follows the scores of any teachers, several together, and λ1 to λ3 play no part."""
    cross_entropy: float = 0.05
    """Weight of the cross-entropy beside L_kl, whose weight is 1; only with form "scores"."""
    temperature: float = 1.0
    """Softens teachers' and student's scores before they are compared; only with form "scores"."""
    weigh_teachers: bool = False
    """Whether each teacher counts as the validation split would have it, one that adds nothing to the others not at all
    (`ensemble_weights.py`), instead of all alike; only with form "scores"."""
    candidates: int = 16_384
    """Items drawn uniformly a step that scores are compared over, besides the step's targets; all items where there are
    no more; only with "scores"."""
    top_items: int = 0
    """Best items of the teachers, among the candidates, that alone teach; 0: all candidates; only with "scores"."""
    own_items: int = 0
    """The student's own best items that are compared beside top_items."""
    rank_decay: float = 0.0
    """Above 0, top_items teach by their order alone: the k-th counts exp(-(k - 1) / rank_decay)."""
    consistency: float = 0.0
    """Added, with rank_decay, to the count of those that are among the student's best too."""
    augmented: int = 0
    """Copies of every training sequence that are taught beside it, thinned and continued as the teachers would have it
    (`augmentation.py`); an epoch has them all; only with form "scores"."""
    online: bool = False
    """Teacher and student learn together from the start: of the teacher only its shape is taken, and its weights begin
    as the student's do; not with form "scores"."""
    start: Literal["pretrained", "teacher-adapters", "teacher"] = "pretrained"
    """Where an LLM student begins: afresh; with adapters and item table as the teacher left them; or with all of the
    teacher's weights that it keeps, which heals what a narrower or shallower model has lost."""
    teacher_states: Literal["auto", "cached", "alongside"] = "auto"
    """What teachers say, states or scores, from a cache on disk, computed in every step, or whichever is faster (and
    fits); scores are kept only where all items are candidates."""
    cache_gigabytes: float = 16.0
    """Largest cache that "auto" makes."""

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise UserError(f"blocks is {self.blocks}, but must be at least 1")
        if self.temperature <= 0 or self.candidates < 1:
            given = f"temperature is {self.temperature} and candidates {self.candidates}"
            raise UserError(f"{given}, but they must be above 0 and at least 1")
        for name in ("lambda1", "lambda2", "lambda3", "contrastive", "relational", "cross_entropy", "consistency"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} is {getattr(self, name)}, but a loss weight cannot be negative")
        for name in ("top_items", "own_items", "rank_decay", "augmented"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} is {getattr(self, name)}, but cannot be negative; 0 turns it off")
        for name in ("own_items", "rank_decay", "consistency"):
            if getattr(self, name) and not self.top_items:
                raise UserError(f"{name} is {getattr(self, name)}, but goes with top_items, which is 0; set it too")
        if self.weigh_teachers and self.form != "scores":
            raise UserError(f"weigh_teachers is on, but form '{self.form}' compares no scores; take 'scores'")
        if self.top_items and self.form != "scores":
            raise UserError(f"top_items is {self.top_items}, but form '{self.form}' compares no scores; take 'scores'")
        if self.augmented and self.form != "scores":
            raise UserError(
                f"augmented is {self.augmented}, but form '{self.form}' teaches users' own histories; take 'scores'"
            )
        if self.rank_decay and self.own_items:
            raise UserError("rank_decay teaches by the order of the teachers' items; own_items have none there")
        if self.consistency and not self.rank_decay:
            raise UserError(f"consistency is {self.consistency}, but weighs ranked items; set rank_decay too")
        if self.online and self.form == "scores":
            raise UserError("online teaching is of states, form 'paper' or 'published', but the form is 'scores'")
        if self.online and self.start != "pretrained":
            raise UserError(f"online, the teacher has learnt nothing to start from; drop start '{self.start}'")


def block_ends(layers: int, blocks: int, whose: str) -> list[int]:
    """Layers after which the blocks end: m, 2m, …, layers.

    Raises:
        UserError: the layers do not divide into the blocks.
    """
    if layers % blocks:
        divisors = [b for b in range(1, layers + 1) if layers % b == 0]
        raise UserError(
            f"the {whose} has {layers} layers and {blocks} blocks were asked for: {layers} is not a multiple of "
            f"{blocks}; use {', '.join(map(str, divisors[:-1]))} or {divisors[-1]} blocks"
            if len(divisors) > 1
            else f"the {whose} has 1 layer and {blocks} blocks were asked for; use 1 block"
        )
    return list(range(layers // blocks, layers + 1, layers // blocks))
