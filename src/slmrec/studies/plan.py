"""What a study is made of: models to train, ways to look at them, and which to compare."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module

from slmrec.engine import Precision
from slmrec.errors import UserError, nearest
from slmrec.recipe import Recipe
from slmrec.studies.names import STUDIES
from slmrec.training.options import (
    ClassicOptions,
    DistillationOptions,
    LLMOptions,
    NeighboursOptions,
    StudentOptions,
)

Options = ClassicOptions | NeighboursOptions | LLMOptions | StudentOptions


@dataclass(frozen=True)
class Trial:
    """A model that a study trains, once a seed."""

    name: str
    """What tables call it; unique in its study."""
    options: Options | None = None
    """Shape and training; its seed is set by the study. None: popularity."""
    items: str = ""
    """Trial whose item table an LLM recommender starts from, "name" of the same seed or "name@0" of a fixed one;
    empty: random vectors."""
    teachers: tuple[str, ...] = ()
    """Trials that teach it, named in the same way."""
    distillation: DistillationOptions | None = None
    """How they do."""
    shuffled: bool = False
    """Train on histories whose order is lost."""
    users: float = 1.0
    """Share of the users to train on."""

    @property
    def kind(self) -> str:
        """Popularity, ItemKNN, SASRec, LLM, Student and so on."""
        return "Popularity" if self.options is None else type(self.options).__name__.removesuffix("Options")

    @property
    def needs(self) -> list[str]:
        """Trials that have to be there before it."""
        return [*filter(None, [self.items]), *self.teachers]


@dataclass(frozen=True)
class Look:
    """A trained model, evaluated in another way; nothing is trained for it."""

    name: str
    """What tables call it; unique in its study."""
    of: tuple[str, ...]
    """The trial, named as in `Trial.items`; several are scored together, by the mean of their scores."""
    layers: tuple[int, ...] = ()
    """Decoder layers that are kept, by their place from 0; empty: all."""
    norm: bool = True
    """Whether states are read out after the final norm."""
    newest: int | None = None
    """Events of each history that the model gets; None: all."""
    shuffled: bool = False
    """Whether histories lose their order."""
    precision: Precision = "fp32"
    """Of the matrix products."""
    neurons: int = 0
    """Feed-forward neurons kept in each decoder layer, those that matter most on training histories; 0: all."""
    head_groups: int = 0
    """Key-value heads kept in each decoder layer, chosen in the same way; 0: all."""
    item_rank: int = 0
    """Rank that the item table is brought to; 0: as it is."""
    weighed: bool = False
    """Whether each of several counts as the validation split would have it."""

    @property
    def needs(self) -> list[str]:
        """Trials that have to be there before it."""
        return [*self.of]

    @property
    def seedless(self) -> bool:
        """Whether it is the same for every seed of the study: then it is measured once, and counts as one seed."""
        return all("@" in one for one in self.of)


@dataclass(frozen=True)
class Study:
    """A question, and the models whose comparison answers it."""

    name: str
    question: str
    """One or two sentences."""
    trials: Sequence[Trial]
    looks: Sequence[Look] = ()
    pairs: Sequence[tuple[str, str]] = ()
    """(model, baseline) whose differences are tested."""
    axis: dict[str, float] = field(default_factory=dict)
    """Where each model stands on the plot's horizontal axis; empty: one below the other."""
    axis_title: str = ""
    inside: bool = False
    """Whether the page tells what each decoder layer does."""
    timed: bool = False
    """Whether its models are timed and not trained; pairs then name what each is told as a multiple of."""
    helpers: frozenset[str] = frozenset()
    """Trials that nobody asked for: made only at the seeds at which others need them."""

    def __post_init__(self) -> None:
        known = [trial.name for trial in self.trials]
        for name in {name for name in known if known.count(name) > 1}:
            raise ValueError(f"study {self.name} has two trials '{name}'")
        named = [need.partition("@")[0] for model in self.models for need in model.needs]
        known += [look.name for look in self.looks]
        named += [name for pair in self.pairs for name in pair] + list(self.axis)
        for name in set(named) - set(known):
            raise ValueError(f"study {self.name} has no trial '{name}'")

    @property
    def models(self) -> list[Trial | Look]:
        """Everything that is measured, trials first."""
        return [*self.trials, *self.looks]

    def trial(self, name: str) -> Trial:
        """The trial of this name."""
        return next(trial for trial in self.trials if trial.name == name)

    def model(self, name: str) -> Trial | Look:
        """The trial or look of this name."""
        return next(model for model in self.models if model.name == name)

    def made_from(self, name: str) -> set[str]:
        """A model, and all that a seed of it is made from and that has the same seed."""
        return {name}.union(*(self.made_from(need) for need in self.model(name).needs if "@" not in need))

    def only(self, names: Sequence[str]) -> "Study":
        """The part of the study that these models and what they need make up.

        Raises:
            UserError: a name that is none of the study's.
        """
        known = [model.name for model in self.models]
        for name in names:
            if name not in known:
                raise UserError(f"study {self.name} has no model '{name}'; it has: {'; '.join(known)}")
        looks = [look for look in self.looks if look.name in names]
        wanted = set(names) | {one.partition("@")[0] for look in looks for one in look.needs}
        while True:
            needed = {need.partition("@")[0] for trial in self.trials if trial.name in wanted for need in trial.needs}
            if needed <= wanted:
                break
            wanted |= needed
        return Study(
            name=self.name,
            question=self.question,
            trials=[trial for trial in self.trials if trial.name in wanted],
            looks=looks,
            pairs=[pair for pair in self.pairs if set(pair) <= wanted],
            axis={name: place for name, place in self.axis.items() if name in wanted},
            axis_title=self.axis_title,
            inside=self.inside,
            timed=self.timed,
            helpers=frozenset(wanted.difference(names)),
        )


def named_study(name: str, recipe: Recipe) -> Study:
    """A study by name, its models with the recipe's options.

    Raises:
        UserError: no such study, or a recipe whose student is to be cut out of a trained model.
    """
    if name not in STUDIES:
        raise UserError(f"there is no study '{name}'{nearest(name, list(STUDIES))}")
    recipe.student.check_start("pretrained")
    made: Callable[[Recipe], Study] = import_module(f"slmrec.studies.{name.replace('-', '_')}").study
    return made(recipe)
