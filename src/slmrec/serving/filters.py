"""Items by their attributes."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np


class Attribute:
    """Which items have which value of one attribute.

    A value that is a list, or text that lists parts between commas or bars (`Crime, Thriller`), is had in whole and
    part by part. Numbers and their spelling are one, as ids are.
    """

    def __init__(self, values: Iterable[Any]) -> None:
        found: dict[str, list[int]] = {}
        wholes: set[str] = set()
        for column, value in enumerate(values):
            parts = _parts(value)
            wholes.update(parts[:1] if len(parts) > 2 and isinstance(value, str) else ())
            for spelled in set(parts):
                found.setdefault(spelled, []).append(column)
        common = [(spelled, len(columns)) for spelled, columns in found.items() if spelled not in wholes]
        self.counts: list[tuple[str, int]] = sorted(common, key=lambda one: (-one[1], one[0]))
        """Values, part by part, with the number of items that have each; the most common first."""
        self._columns = {spelled: np.array(columns) for spelled, columns in found.items()}

    def having(self, values: Iterable[Any]) -> np.ndarray:
        """Columns of the items that have any of the values; they may stand there twice."""
        found = [self._columns[spelled] for value in values if (spelled := _spell(value)) in self._columns]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def _parts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [_spell(part) for part in value if part is not None]
    whole = _spell(value)
    return [whole, *(part.strip() for part in re.split(r"[,|]", whole))] if isinstance(value, str) else [whole]


def _spell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
