"""The models that are served and their items: what is swapped, added, withdrawn, always in whole.

Whoever answers a request reads `view` once; a change makes another view and puts it there. Changes are asked for by one
thread at a time and may take long; nobody waits for them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slmrec.errors import UserError, nearest
from slmrec.serving.problems import Problem
from slmrec.serving.served import Served, ServedModel
from slmrec.serving.shelf import Item, Shelf
from slmrec.serving.store import Store

MOST = 16
"""Models at once."""


@dataclass(frozen=True)
class View:
    """What is served at one moment."""

    models: Mapping[str, Served]
    default: str
    shelf: Shelf
    withdrawn: frozenset[str]
    revision: int
    """Of the store's catalogue, when it was read."""
    open: Mapping[str, np.ndarray | None]
    """By model, (N,) bool: which columns may stand in a list; None: all."""

    def model(self, name: str | None, where: str) -> Served:
        """A model by name; None: the default.

        Raises:
            Problem: there is none.
        """
        found = self.models.get(self.default if name is None else name)
        if found is None:
            raise Problem(422, "unknown_model", f"there is no model '{name}'{nearest(name or '', self.models)}", where)
        return found

    def item(self, item: str) -> Item:
        """An item by the spelling of its id.

        Raises:
            Problem: there is none.
        """
        found = self.shelf.items.get(item)
        if found is None:
            raise Problem(404, "unknown_item", f"no served model knows the item '{item}'", "path.item_id")
        return found


class Fleet:
    """The served models over one store.

    Args:
        models: what is served, the default first.
        store: where changes of the catalogue are kept; those that it holds already are made at once.
        load: makes a served model of a name and a folder.

    Raises:
        UserError: two models of one name, or kept items that a model cannot take.
    """

    def __init__(self, models: Sequence[Served], store: Store, load: Callable[[str, Path], Served]) -> None:
        names = [served.name for served in models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UserError(f"two models are called '{twice[0]}'; give them names: NAME=FOLDER")
        if not 1 <= len(models) <= MOST:
            raise UserError(f"{len(models)} models were given; serve 1 to {MOST}")
        self.store, self._load = store, load
        self.view = View({}, names[0], Shelf(()), frozenset(), -1, {})
        self.view = self._viewed({served.name: served for served in models}, names[0])

    def refresh(self) -> bool:
        """Take up what other servers changed in the store; returns whether there was anything."""
        if self.store.revision() == self.view.revision:
            return False
        self.view = self._viewed(self.view.models, self.view.default)
        return True

    def swap(self, name: str, folder: Path) -> Served:
        """Serve another model under a name, new or old.

        Raises:
            UserError: it cannot be loaded or take the kept items; all is as it was.
        """
        if name not in self.view.models and len(self.view.models) >= MOST:
            raise UserError(f"{MOST} models are served already; swap one of them")
        self.view = self._viewed({**self.view.models, name: self._load(name, folder)}, self.view.default)
        return self.view.models[name]

    def add(self, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Let new items in, everywhere where items are known by text; withdrawn ones come back.

        Raises:
            UserError: no model takes new items, or these; all is as it was.
        """
        spelled = [str(item["item_id"]) for item in items]
        twice = sorted({item for item in spelled if spelled.count(item) > 1})
        if twice:
            raise UserError(f"item '{twice[0]}' stands there twice; send it once")
        shelf, withdrawn = self.view.shelf.items, self.view.withdrawn
        new = [item for item in items if str(item["item_id"]) not in shelf]
        takers = [served.name for served in self.view.models.values() if served.adds_items]
        if new and not takers:
            raise UserError(
                "none of the served models takes new items; serve a model folder trained with item_text, or a text-knn"
            )
        back = [item for item in spelled if item in withdrawn]
        if new:
            models = self._with(self.view.models, new)  # before anything is kept: it may refuse them
            self.store.add_items(new)
            self.view = self._viewed(models, self.view.default)
        if back:
            self.store.restore(back)
            self.refresh()
        known = len(items) - len(new) - len(back)
        return {"added": len(new), "restored": len(back), "known": known, "models": takers if new else []}

    def withdraw(self, item: str) -> None:
        """Keep an item out of every list from now on."""
        self.store.withdraw(item)
        self.refresh()

    def _viewed(self, models: Mapping[str, Served], default: str) -> View:
        revision = self.store.revision()  # first, so that a change meanwhile is seen next time
        models = self._with(models, self.store.added_items())
        withdrawn = frozenset(self.store.withdrawn())
        for served in models.values():
            if isinstance(served, ServedModel):
                served.adopted()
        same = list(models.values()) == list(self.view.models.values())
        shelf = self.view.shelf if same else Shelf(models.values())
        masks = {name: _open(served, withdrawn) for name, served in models.items()}
        return View(models, default, shelf, withdrawn, revision, masks)

    def _with(self, models: Mapping[str, Served], items: Sequence[Mapping[str, Any]]) -> dict[str, Served]:
        """Models with the items that they lack and can take."""
        found = {}
        for name, served in models.items():
            lacking = [item for item in items if str(item["item_id"]) not in served.place]
            found[name] = served.extended(lacking) if lacking and served.adds_items else served
        return found


def _open(served: Served, withdrawn: frozenset[str]) -> np.ndarray | None:
    columns = [served.place[item] for item in withdrawn if item in served.place]
    if not columns:
        return None
    mask = np.ones(len(served.ids), dtype=bool)
    mask[columns] = False
    return mask
