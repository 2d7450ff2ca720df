"""Who teaches, and how."""

from dataclasses import dataclass
from typing import Literal

from slmrec.errors import UserError
from slmrec.training.options.checks import check_counts, check_rates

BY_STATES = ("blocks", "lambda1", "lambda2", "lambda3", "contrastive", "relational", "online")
"""Fields of `DistillationOptions` that play a part only where states are followed, with form "paper" or "published"."""
BY_SCORES = (
    "cross_entropy",
    "temperature",
    "weigh_teachers",
    "candidates",
    "top_items",
    "own_items",
    "rank_decay",
    "consistency",
    "augmented",
)
"""Those that play one only with form "scores"."""


@dataclass(frozen=True)
class EnsembleOptions:
    """Who scores together in the main job.

    What trains nothing is put beside SASRec, and beside the student, as a model of its own (`training/combine.py`).
    Where the student follows scores, it also teaches it, as do several SASRecs; and all of them teach a SASRec too.
    """

    sasrecs: int = 1
    """SASRecs that teach, each of a seed of its own; the job's classic model is the first."""
    item_knn: bool = False
    """Item-kNN is among them."""
    sequential_rules: bool = False
    """Sequential rules are among them."""
    text_knn: bool = False
    """Text-kNN is among them, where SASRec knows items by text, too; it compares the same vectors."""
    taught_dropout: float = 0.3
    """Dropout of the SASRec that is taught: scores are a softer aim than the next item, so less is learnt by heart. Of
    its item vectors nothing is left out."""

    @property
    def untrained(self) -> list[str]:
        """Those of them that train nothing, by name."""
        return [name for name in ("item_knn", "sequential_rules", "text_knn") if getattr(self, name)]

    def __post_init__(self) -> None:
        check_counts(self, "sasrecs")
        check_rates(self, "taught_dropout")


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
        check_counts(self, "blocks")
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
