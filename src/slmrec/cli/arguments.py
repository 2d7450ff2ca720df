"""Arguments that several commands take, and the checks of them that cost nothing."""

import argparse
import csv
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slmrec.cli.parser import Parser
from slmrec.errors import UserError
from slmrec.files import check_replaceable

if TYPE_CHECKING:
    from slmrec.data import Dataset
    from slmrec.models import Recommender
    from slmrec.models.items import ItemTable


def add_data(parser: Parser, *, required: bool = True) -> None:
    """Add `--data`."""
    parser.add_argument(
        "--data",
        type=Path,
        required=required,
        metavar="DIR",
        help="data folder, made by `slmrec data prepare`",
    )


def add_out(parser: Parser, metavar: str, help: str) -> None:
    """Add `--out`."""
    parser.add_argument("--out", type=Path, required=True, metavar=metavar, help=help)


def add_precision(parser: Parser) -> None:
    """Add `--precision`."""
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16", "int8", "int4"),
        default="fp32",
        help="of an LLM recommender's matrix products (default: %(default)s)",
    )


def add_item_table(parser: Parser, otherwise: str) -> None:
    """Add `--item-table`."""
    parser.add_argument(
        "--item-table",
        type=Path,
        metavar="MODEL",
        help=f"model folder whose item vectors the item table starts from (default: {otherwise})",
    )


def add_source(parser: Parser) -> None:
    """Add SOURCE and how to read it."""
    parser.add_argument("source", metavar="SOURCE", help="file or folder of interactions, or a known source: ml-100k")
    parser.add_argument("--format", metavar="NAME", help="format of SOURCE (default: told from its content)")
    parser.add_argument(
        "--column",
        type=_column,
        action="append",
        default=[],
        metavar="OURS=THEIRS",
        help="column of SOURCE that holds our user_id, item_id, timestamp, …; once for each",
    )


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it is '{text}', but must be a whole number of at least 1")
    return int(text)


def positive(text: str) -> float:
    """A number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"it is '{text}', but must be a number above 0")
    return number


def seed(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"it is '{text}', but must be a whole number of at least 0")
    return int(text)


def ids(text: str) -> list[str]:
    """Ids between commas; quotes keep a comma inside one."""
    found = [item.strip() for item in next(csv.reader([text], skipinitialspace=True), [])]
    if not all(found) or not found:
        raise argparse.ArgumentTypeError(f"it is '{text}', but must be ids between commas, as \"50,181\"")
    return found


def check_inputs(models: Sequence[Path | None] = (), data: Sequence[Path | None] = ()) -> None:
    """Refuse folders that are not there, before what would read them is imported.

    Raises:
        UserError: as it says.
    """
    for folder in models:
        if folder is not None and not folder.is_dir():
            raise UserError(f"there is no model folder {folder}")
    for folder in data:
        if folder is not None and not folder.is_dir():
            raise UserError(f"there is no data folder at {folder}; make one with `slmrec data prepare`")


def check_form(given: Collection[str], form: str) -> None:
    """Refuse options of distillation that play no part in the form that it takes.

    Args:
        given: dotted names of the keys that the command line sets.
        form: of distillation.

    Raises:
        UserError: as it says.
    """
    from slmrec.training.options.distillation import BY_SCORES, BY_STATES

    for name in BY_STATES if form == "scores" else BY_SCORES:
        if f"distillation.{name}" in given:
            followed, instead = ("states", "") if form == "scores" else ("scores", ", or take form 'scores'")
            raise UserError(
                f"distillation.{name} is for students that follow {followed}, but this one's form is '{form}'; "
                f"drop it{instead}"
            )


def check_out(out: Path, marker: str) -> None:
    """Refuse an output folder that cannot be written or holds what is not ours.

    Raises:
        UserError: as it says.
    """
    check_replaceable(out, marker)
    above = next(parent for parent in out.absolute().parents if parent.exists())
    if not above.is_dir():
        raise UserError(f"{out} cannot be made: {above} is a file; choose another path")
    if not os.access(above, os.W_OK):
        raise UserError(f"{out} cannot be made: {above} is not yours to write to; choose another path")


def check_out_file(out: Path) -> None:
    """Refuse an output file that cannot be written.

    Raises:
        UserError: as it says.
    """
    if out.is_dir():
        raise UserError(f"{out} is a folder, but a file is to be written there; choose another path")
    if not out.absolute().parent.is_dir():
        raise UserError(f"there is no folder {out.parent} to write {out.name} into; make it first")


def check_catalogue(model: "Recommender", folder: Path, data: "Dataset") -> None:
    """Refuse a model whose items are not the data's.

    Raises:
        UserError: as it says.
    """
    if not model.catalogue.frame["item_id"].equals(data.catalogue.frame["item_id"]):
        raise UserError(
            f"{folder} knows {len(model.catalogue)} items, '{data.name}' has {len(data.catalogue)} others; "
            "take a model that was trained on this data"
        )


def item_table(folder: Path | None, data: "Dataset") -> "ItemTable | None":
    """The item table of a model folder, for a model of this data.

    Raises:
        UserError: the folder's model has none, or one of other items.
    """
    model = model_of_items(folder, data)
    return None if model is None else model.items


def model_of_items(folder: Path | None, data: "Dataset") -> Any:
    """The model of a folder, which has an item table, for a model of this data.

    Raises:
        UserError: the folder's model has none, or one of other items.
    """
    from slmrec.models import load

    if folder is None:
        return None
    model = load(folder)
    items: Any = getattr(model, "items", None)
    if items is None:
        raise UserError(f"{folder} holds a model of kind {model.kind}, which has no item vectors; take another")
    check_catalogue(model, folder, data)
    return model


def _column(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not (ours and equals and theirs):
        raise argparse.ArgumentTypeError(f"it is '{text}', but must be like user_id=their_name")
    return ours, theirs
