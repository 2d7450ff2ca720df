"""A recipe: everything the main job leaves open, in one TOML file of which every key can be overridden."""

import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

from slmrec.data.preparation import Preparation
from slmrec.errors import UserError, nearest
from slmrec.training.options import (
    BERT4RecOptions,
    CaserOptions,
    DistillationOptions,
    EnsembleOptions,
    ESASRecOptions,
    GRU4RecOptions,
    ItemKNNOptions,
    LLMOptions,
    SASRecOptions,
    SequentialRulesOptions,
    StudentOptions,
    TextKNNOptions,
    block_ends,
)

T = TypeVar("T")
RUN_SECTIONS = (
    *("preparation", "item_knn", "sequential_rules", "text_knn", "sasrec"),
    *("teacher", "student", "distillation", "ensemble"),
)
"""What the main job uses of a recipe."""


@dataclass(frozen=True)
class Recipe:
    """The main job: prepare, item-kNN, SASRec, teacher, student by cross-entropy alone, distilled student, both with
    neighbours beside them, and where students follow scores a SASRec that does; and every kind of model that is trained
    by a command of its own."""

    preparation: Preparation = field(default_factory=Preparation)
    """How raw interactions become a data set."""
    sasrec: SASRecOptions = field(default_factory=SASRecOptions)
    """The classic model: the bar, and the source of the item table."""
    teacher: LLMOptions = field(default_factory=LLMOptions)
    """The deep LLM recommender."""
    student: StudentOptions = field(default_factory=StudentOptions)
    """The shallow one."""
    distillation: DistillationOptions = field(default_factory=DistillationOptions)
    """How the one teaches the other."""
    ensemble: EnsembleOptions = field(default_factory=EnsembleOptions)
    """Who scores beside SASRec and the student, and teaches beside the teacher."""
    item_knn: ItemKNNOptions = field(default_factory=ItemKNNOptions)
    """Items of users who share items; nothing is trained."""
    sequential_rules: SequentialRulesOptions = field(default_factory=SequentialRulesOptions)
    """Items that come soon after each other; nothing is trained."""
    text_knn: TextKNNOptions = field(default_factory=TextKNNOptions)
    """Items whose texts are alike; nothing is trained."""
    gru4rec: GRU4RecOptions = field(default_factory=GRU4RecOptions)
    """A recurrent network."""
    caser: CaserOptions = field(default_factory=CaserOptions)
    """Convolutions over the last items."""
    bert4rec: BERT4RecOptions = field(default_factory=BERT4RecOptions)
    """A transformer that sees both sides of an item left out."""
    esasrec: ESASRecOptions = field(default_factory=ESASRecOptions)
    """SASRec with gated blocks."""

    def __post_init__(self) -> None:
        if self.student.layers > self.teacher.layers:
            raise UserError(
                f"student.layers is {self.student.layers}, teacher.layers {self.teacher.layers}: a student cannot be "
                "deeper than its teacher"
            )
        if self.distillation.form == "scores":
            if self.teacher.reading != "every-position":
                raise UserError(
                    f"teacher.reading is {self.teacher.reading}, but distillation.form 'scores' compares the scores of "
                    "every-position"
                )
            if self.distillation.start == "teacher":
                raise UserError(
                    "distillation.start is teacher, but with form 'scores' several models teach and none is the one to "
                    "start from; leave it at pretrained"
                )
            self._check_lengths()
            return
        if self.student.width not in (0, self.teacher.width):
            raise UserError(
                f"student.width is {self.student.width}, teacher.width {self.teacher.width}: with distillation.form "
                f"'{self.distillation.form}' the student's states follow the teacher's, which must be as wide; drop "
                "student.width, or take form 'scores'"
            )
        block_ends(self.teacher.layers, self.distillation.blocks, "teacher")
        block_ends(self.student.layers, self.distillation.blocks, "student")

    def taught_sasrec(self) -> SASRecOptions:
        """The classic model as a student of scores, with less to keep it from learning by heart."""
        return replace(self.sasrec, dropout=self.ensemble.taught_dropout, item_dropout=0.0)

    def _check_lengths(self) -> None:
        """Whoever teaches by scores must read as much as the students do, a SASRec and an LLM."""
        lengths = {"teacher": self.teacher.max_length, "sasrec": self.sasrec.max_length}
        lengths |= {name: getattr(self, name).max_length for name in self.ensemble.untrained}
        for name, length in lengths.items():
            if length != self.teacher.max_length:
                raise UserError(
                    f"{name}.max_length is {length}, teacher.max_length {self.teacher.max_length}: with "
                    "distillation.form 'scores' all of them teach, and must read the same events; make them equal"
                )


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.name.removesuffix(".toml") for path in _shipped().iterdir() if path.name.endswith(".toml"))


def load_recipe(name: str = "default", overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe.

    Args:
        name: a shipped recipe, or the path of a TOML file.
        overrides: values by dotted key, as "teacher.training.epochs"; strings are read as the key's type.

    Raises:
        UserError: no such recipe, no TOML, an unknown key (with the nearest known), a value of the wrong type, or
            values that contradict each other.
    """
    path = Path(name)
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise UserError(f"there is no recipe file {path}")
        where, raw = str(path), path.read_bytes()
    elif name in shipped_recipes():
        where, raw = f"recipe '{name}'", (_shipped() / f"{name}.toml").read_bytes()
    else:
        raise UserError(f"there is no recipe '{name}'{nearest(name, shipped_recipes())}")
    try:
        values = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{where} is no TOML: {error}") from None
    for key, value in (overrides or {}).items():
        section = values
        *parents, last = key.split(".")
        for parent in parents:
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise UserError(f"{where}: '{key}' asks for a section where '{parent}' is a single value")
        section[last] = value
    return build(Recipe, values, where)


def build(cls: type[T], values: Mapping[str, Any], where: str, prefix: str = "", base: T | None = None) -> T:
    """Make an options dataclass from plain values, with a clear refusal of what does not fit.

    Values that are not given are those of ``base``: a section may have other defaults than the class it is of.

    Raises:
        UserError: as `load_recipe`.
    """
    types_of = typing.get_type_hints(cls)
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise UserError(f"{where}: unknown key '{prefix}{key}'{nearest(key, known)}")
        wanted = types_of[key]
        if is_dataclass(wanted):
            if not isinstance(value, Mapping):
                raise UserError(f"{where}: '{prefix}{key}' is a section, not the value {value!r}")
            own = getattr(base or cls(), key)
            arguments[key] = build(wanted, value, where, f"{prefix}{key}.", own)  # type: ignore[arg-type]
        else:
            arguments[key] = convert(value, wanted, f"{where}: '{prefix}{key}'")
    try:
        return cls(**arguments) if base is None else replace(base, **arguments)  # type: ignore[type-var]
    except UserError as error:
        raise UserError(f"{where}, {prefix.rstrip('.') or 'as a whole'}: {error}") from None


def convert(value: Any, wanted: Any, what: str) -> Any:
    """A TOML value or a command line's string as the type that an option has.

    Raises:
        UserError: it cannot be one; ``what`` names the option.
    """
    origin, choices = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):  # X | None
        if value is None or value == "none":
            return None
        return convert(value, next(choice for choice in choices if choice is not type(None)), what)
    if origin is Literal:
        if value not in choices:
            known = ", ".join(str(choice) or "''" for choice in choices)
            raise UserError(f"{what} is {value!r}, but must be one of: {known}")
        return value
    if origin is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, Sequence):
            raise UserError(f"{what} is {value!r}, but must be a list")
        return tuple(convert(part, choices[0], what) for part in parts)
    if wanted is bool:
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
        raise UserError(f"{what} is {value!r}, but must be true or false")
    if wanted is str and isinstance(value, str):
        return value
    if wanted in (int, float) and not isinstance(value, bool):
        try:
            number = wanted(value)
        except (TypeError, ValueError):
            number = None
        if number is not None and (isinstance(value, str) or number == value):
            return number
    names = {int: "a whole number", float: "a number", str: "text"}
    raise UserError(f"{what} is {value!r}, but must be {names[wanted]}")


def override(options: T, values: Mapping[str, Any]) -> T:
    """A frozen dataclass with values replaced by dotted name."""
    own = {name: value for name, value in values.items() if "." not in name}
    for parent in {name.partition(".")[0] for name in values if "." in name}:
        inner = {
            name.removeprefix(f"{parent}."): value for name, value in values.items() if name.startswith(f"{parent}.")
        }
        own[parent] = override(getattr(options, parent), inner)
    return replace(options, **own)  # type: ignore[type-var]


def as_dict(recipe: Recipe) -> dict[str, Any]:
    """What the main job uses of the recipe, as nested plain values."""
    return {section: asdict(getattr(recipe, section)) for section in RUN_SECTIONS}


def _shipped():
    return resources.files("slmrec") / "recipes"
