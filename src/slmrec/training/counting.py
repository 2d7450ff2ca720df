"""Models that train nothing, each made into a folder: popularity, and each item's neighbours."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from slmrec.data import Dataset
from slmrec.data.description import in_a_sentence
from slmrec.files import check_replaceable
from slmrec.models import ItemKNN, Neighbours, Popularity, SequentialRules, TextKNN
from slmrec.models.text import text_vectors
from slmrec.training.options import ItemKNNOptions, NeighboursOptions, SequentialRulesOptions, TextKNNOptions
from slmrec.training.trainer import Progress

Counted = TypeVar("Counted", Popularity, Neighbours)


def train_popularity(data: Dataset, out: Path) -> Popularity:
    """Count interactions into a model folder."""
    return _count(lambda: Popularity.from_data(data), data, out, {})


def train_neighbours(
    data: Dataset, options: NeighboursOptions, out: Path, progress: Progress | None = None
) -> Neighbours:
    """Find each item's neighbours, of the kind that the options are of, into a model folder."""
    return _count(lambda: find_neighbours(data, options, progress), data, out, asdict(options))


def find_neighbours(data: Dataset, options: NeighboursOptions, progress: Progress | None = None) -> Neighbours:
    """A model of each item's neighbours, of the kind that the options are of."""
    match options:
        case ItemKNNOptions():
            return ItemKNN.from_data(data, **asdict(options))
        case SequentialRulesOptions():
            return SequentialRules.from_data(data, **asdict(options))
        case TextKNNOptions():
            shape = asdict(options)
            source = shape.pop("item_text")
            return TextKNN.from_data(data, text_vectors(data.catalogue, source, progress), source, **shape)
    raise TypeError(f"no neighbours are found by {type(options).__name__}")


def _count(make: Callable[[], Counted], data: Dataset, out: Path, options: dict[str, Any]) -> Counted:
    """A model that trains nothing, made and kept as a folder."""
    check_replaceable(out, "config.json")
    started = time.perf_counter()
    model = make()
    seconds = round(time.perf_counter() - started, 2)
    training = {"seconds": seconds, "steps": 0, "best_epoch": 0, "log": [], "options": options}
    model.save_pretrained(out, {"data": in_a_sentence(data), "training": training})
    return model
