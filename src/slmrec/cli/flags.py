"""Every key of a recipe as an option of the command line, made from the recipe's dataclasses."""

import argparse
import ast
import inspect
import textwrap
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from operator import attrgetter
from typing import Any, Literal, TypeVar

from slmrec.cli.parser import Parser
from slmrec.errors import UserError

T = TypeVar("T")
DEFAULT = "default"
"""The recipe that commands start from."""
EMPTY = "''"
"""How an empty text is typed."""


@dataclass(frozen=True)
class Key:
    """One value that a recipe sets."""

    name: str
    """Dotted, as "teacher.training.epochs"."""
    wanted: Any
    """Its type."""
    doc: str
    """The docstring under its field."""


def add(parser: Parser, args: Sequence[str], *, sections: Sequence[str], prefixed: bool = False) -> None:
    """Add `--recipe` and an option for each key of these sections of it.

    Args:
        parser: gets the options, grouped.
        args: the command's arguments: a help page shows the values of the recipe that is named among them.
        sections: of `Recipe`.
        prefixed: whether options are called by their whole dotted name, as "--sasrec.dropout", or without the
            section, as "--dropout"; the whole name is understood in either case.
    """
    from slmrec.recipe import Recipe, load_recipe

    recipe = _named_recipe(args)
    shown = load_recipe(recipe) if {"-h", "--help"} & set(args) else None
    parser.add_argument(
        "--recipe",
        default=DEFAULT,
        metavar="NAME|FILE.toml",
        help=f"where all values below start; those shown are of '{recipe}'",
    )
    types_of, docs = typing.get_type_hints(Recipe), field_docs(Recipe)
    groups: dict[str, argparse._ArgumentGroup] = {}
    for section in sections:
        for key in keys(types_of[section], f"{section}."):
            parent = key.name.rpartition(".")[0]
            if parent not in groups:
                what = docs[section] if parent == section else None
                groups[parent] = parser.add_argument_group(parent, what)
            default = f" (default: {spell(attrgetter(key.name)(shown)) or EMPTY})" if shown else ""
            short = key.name if prefixed else key.name.removeprefix(f"{section}.")
            add_option = partial(
                groups[parent].add_argument,
                dest=key.name,
                type=partial(_value, key.wanted),
                default=argparse.SUPPRESS,
            )
            add_option(
                _option(short),
                metavar=_metavar(key.wanted),
                help=(key.doc + default).replace("%", "%%"),
            )
            if not prefixed:
                add_option(_option(key.name), help=argparse.SUPPRESS)


def overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the command line sets of the recipe, by dotted name."""
    return {name: value for name, value in vars(arguments).items() if "." in name}


def section(arguments: argparse.Namespace, name: str, **otherwise: Any) -> Any:
    """One section of the chosen recipe with what the command line sets in it; where it does not, with ``otherwise``.

    Raises:
        UserError: no such recipe, or values that contradict each other.
    """
    from slmrec.recipe import load_recipe, override

    values = {
        key.removeprefix(f"{name}."): value for key, value in overrides(arguments).items() if key.startswith(f"{name}.")
    }
    return override(getattr(load_recipe(arguments.recipe), name), otherwise | values)


def keys(cls: type, prefix: str = "") -> Iterator[Key]:
    """The keys of an options dataclass and of those inside it, plain ones first."""
    types_of, docs = typing.get_type_hints(cls), field_docs(cls)
    names = [field.name for field in fields(cls)]
    for name in sorted(names, key=lambda name: is_dataclass(types_of[name])):  # stable: else as written
        if is_dataclass(types_of[name]):
            yield from keys(types_of[name], f"{prefix}{name}.")
        else:
            yield Key(prefix + name, types_of[name], docs[name])


def field_docs(cls: type) -> dict[str, str]:
    """The docstring under each field of a dataclass, those it inherits included, each as one line."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not is_dataclass(base):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for statement, following in zip(body.body, body.body[1:], strict=False):
            match statement, following:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(doc))),
                ):
                    found[name] = " ".join(doc.split())
    return found


def _named_recipe(args: Sequence[str]) -> str:
    for arg, following in zip(args, [*args[1:], DEFAULT], strict=True):
        if arg == "--recipe":
            return following
        if arg.startswith("--recipe="):
            return arg.partition("=")[2]
    return DEFAULT


def _value(wanted: Any, text: str) -> Any:
    from slmrec.recipe import convert

    try:
        return convert(text, wanted, "it")
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None  # argparse names the option


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def spell(value: Any) -> str:
    """A value as one would type it."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)


def _metavar(wanted: Any) -> str:
    origin, choices = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        return f"{_metavar(next(choice for choice in choices if choice is not type(None)))}|none"
    if origin is Literal:
        return "|".join(map(str, choices))
    if origin is tuple:
        return f"{_metavar(choices[0])},…"
    return {bool: "true|false", int: "N", float: "X", str: "TEXT"}[wanted]
