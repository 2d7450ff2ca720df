"""The items of all served models together, to be looked up and searched by title."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from slmrec.serving.served import Id, Served


@dataclass(frozen=True)
class Item:
    """An item as the first model that has it knows it."""

    item_id: Id
    text: str
    owner: Served
    column: int

    def attributes(self) -> dict[str, Any]:
        """Its attributes; those that say nothing are left out."""
        columns = self.owner.columns
        return {name: values[self.column] for name, values in columns.items() if values[self.column] is not None}


class Shelf:
    """Items by id and by title."""

    def __init__(self, models: Iterable[Served]) -> None:
        self.items: dict[str, Item] = {}
        for served in models:
            if self.items.keys() >= served.place.keys():
                continue
            for spelled, column in served.place.items():
                if spelled not in self.items:
                    self.items[spelled] = Item(served.ids[column], served.texts[column], served, column)
        self._folded = [(_folded(item.text), spelled) for spelled, item in self.items.items()]

    def search(self, query: str, limit: int, without: Iterable[str] = ()) -> Sequence[Item]:
        """Items whose text holds every word of the query, whatever its case and accents; or whose id is the query.

        First the id, then texts that begin with the query, then those with a word that does, then the rest; in the
        catalogue's order. An empty query finds all.
        """
        out = without if isinstance(without, frozenset | set) else set(without)
        asked = _folded(query)
        words = asked.split()
        begins: list[str] = []
        within: list[str] = []
        holds: list[str] = []
        found = [self.items[query]] if query in self.items and query not in out else []
        for text, spelled in self._folded:
            if spelled in out or spelled == query or not all(word in text for word in words):
                continue
            group = begins if text.startswith(asked) else within if f" {asked}" in text else holds
            group.append(spelled)
            if len(begins) >= limit:
                break
        return [*found, *(self.items[spelled] for spelled in [*begins, *within, *holds])][:limit]


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(char for char in decomposed if not unicodedata.combining(char)).split())
