"""Recommendations for many requests at once: what the worker thread does.

New events are kept first, those of all requests in one write to the disk. Histories of one model are encoded together,
whoever they are of; users who are known come with their kept states. Then requests that ask for the same kind of list
are ranked together.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from slmrec.errors import UserError
from slmrec.serving.diversity import candidates, diversified
from slmrec.serving.explain import contributions
from slmrec.serving.fleet import View
from slmrec.serving.problems import Problem, unreachable
from slmrec.serving.served import Id, Served, Unknown
from slmrec.serving.store import Event, Store, StoreError

BECAUSE = 3
"""Events that are told as the reason for an item."""


@dataclass
class Ask:
    """One list of recommendations that is asked for."""

    model: str
    history: Sequence[Id] | None
    user: str | None
    k: int
    events: Sequence[Event] = ()
    """New ones of the user, to be kept first."""
    exclude_seen: bool = True
    allow: Sequence[Id] | None = None
    deny: Sequence[Id] | None = None
    filters: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    diversity: float = 0.0
    explain: bool = False
    unknown: Unknown = "error"
    where: str = "body"
    """The part of the request that it stands in."""
    started: float = field(default_factory=time.perf_counter)

    served: Served = field(init=False)
    row: np.ndarray = field(init=False)
    """(n,) int, the history as item indices."""
    columns: np.ndarray | None = field(init=False, default=None)
    """Columns that compete; None: all."""
    accepted: int = field(init=False, default=0)
    """Events that were new."""
    answer: dict[str, Any] | Problem = field(init=False)

    @property
    def plain(self) -> bool:
        """Whether all items compete that may stand in any list."""
        return self.allow is None and self.deny is None and not self.filters


def recommend(asks: Sequence[Ask], view: View, store: Store) -> list[dict[str, Any] | Problem]:
    """An answer to each ask, or the `Problem` that it has.

    Args:
        asks: what is asked.
        view: what is served.
        store: keeps new events, and knows users' earlier ones.
    """
    going = _keep(asks, store)
    users = {ask.user for ask in going if ask.user is not None}
    try:
        known: Mapping[str, Sequence[str]] | Problem = store.histories(users) if users else {}
    except StoreError as error:
        known = unreachable(error)
    groups: dict[tuple[str, bool], list[Ask]] = {}
    for ask in going:
        try:
            _prepare(ask, view, known)
        except Problem as problem:
            ask.answer = problem
        else:
            groups.setdefault((ask.model, ask.user is None), []).append(ask)
    for group in groups.values():
        _answer(group)
    return [ask.answer for ask in asks]


def _keep(asks: Sequence[Ask], store: Store) -> Sequence[Ask]:
    """Keep the events that came with asks; returns those asks that can go on, all unless the store fails."""
    bringing = [ask for ask in asks if ask.events]
    if not bringing:
        return asks
    try:
        kept = store.append([(str(ask.user), ask.events) for ask in bringing])
    except StoreError as error:
        for ask in bringing:
            ask.answer = unreachable(error)
        return [ask for ask in asks if not ask.events]
    for ask, accepted in zip(bringing, kept, strict=True):
        ask.accepted = accepted
    return asks


def _prepare(ask: Ask, view: View, known: Mapping[str, Sequence[str]] | Problem) -> None:
    """Ids to indices.

    Raises:
        Problem: unknown ids, no usable history, no such attribute, or something that the kind of model cannot do.
    """
    served = ask.served = view.model(ask.model, f"{ask.where}.model")
    part = "history" if ask.user is None else "user"
    if ask.user is None:
        events: Sequence[Id] = ask.history or ()
        ask.row = _indices(served, events, ask.unknown, f"{ask.where}.history")
    else:
        if isinstance(known, Problem):
            raise known
        events = known.get(ask.user, ())
        if not events:
            said = "nothing is known of this user; send a history, or events first"
            raise Problem(404, "unknown_user", said, f"{ask.where}.user")
        ask.row = served.index(events, "skip")  # whoever asks cannot change them
    if not len(ask.row):
        why = "none of its items is known" if len(events) else "it is empty"
        said = f"the history cannot be used: {why}; give at least one known item"
        raise Problem(422, "empty_history", said, f"{ask.where}.{part}")
    if ask.diversity and not served.compares:
        said = f"a model of kind {served.kind} does not compare items, so its lists cannot be made diverse"
        raise Problem(422, "no_likeness", f"{said}; ask another model", f"{ask.where}.diversity")
    mask = view.open[served.name]
    if ask.plain:
        ask.columns = None if mask is None else np.flatnonzero(mask)
        return
    mask = np.ones(len(served.ids), dtype=bool) if mask is None else mask.copy()
    if ask.allow is not None:
        mask &= _marked(_indices(served, ask.allow, "error", f"{ask.where}.allow") - 1, len(mask))
    if ask.deny is not None:
        mask[_indices(served, ask.deny, "error", f"{ask.where}.deny") - 1] = False
    for name, values in ask.filters.items():
        try:
            mask &= _marked(served.attribute(name).having(values), len(mask))
        except UserError as error:
            raise Problem(422, "unknown_attribute", str(error), f"{ask.where}.filters.{name}") from None
    ask.columns = np.flatnonzero(mask)


def _answer(asks: Sequence[Ask]) -> None:
    """Answer prepared asks of one model, all by histories or all by users."""
    served = asks[0].served
    if asks[0].user is None:
        encoded = served.encode([ask.row for ask in asks])
        rows = list(range(len(asks)))
    else:
        users = {str(ask.user): ask.row for ask in asks}
        encoded = served.encode_users(users)
        place = {user: number for number, user in enumerate(users)}
        rows = [place[str(ask.user)] for ask in asks]
    alike: dict[Any, list[int]] = {}
    for number, ask in enumerate(asks):
        wanted = (ask.k, ask.exclude_seen) if ask.plain and not ask.diversity else number
        alike.setdefault(wanted, []).append(number)
    for numbers in alike.values():
        first = asks[numbers[0]]
        excluded = [asks[number].row - 1 for number in numbers] if first.exclude_seen else None
        k = candidates(first.k) if first.diversity else first.k
        scores, columns = served.rank(encoded[[rows[number] for number in numbers]], k, excluded, first.columns)
        for number, own_scores, own_columns in zip(numbers, scores, columns, strict=True):
            there = np.isfinite(own_scores)
            asks[number].answer = _told(asks[number], own_scores[there], own_columns[there])


def _told(ask: Ask, scores: np.ndarray, columns: np.ndarray) -> dict[str, Any]:
    """One answer as it is sent."""
    served = ask.served
    if ask.diversity and len(columns):
        order = diversified(scores, served.likeness(columns), ask.k, ask.diversity)
        scores, columns = scores[order], columns[order]
    ids, texts = served.ids, served.texts
    items: list[dict[str, Any]] = [
        {"item_id": ids[column], "text": texts[column], "score": score, "rank": rank}
        for rank, (column, score) in enumerate(zip(columns.tolist(), scores.tolist(), strict=True), start=1)
    ]
    if ask.explain and items:
        _, given = contributions(served, ask.row, columns)
        for item, own in zip(items, given.T, strict=True):
            best = [place for place in np.argsort(-own, kind="stable")[:BECAUSE].tolist() if own[place] > 0]
            item["because"] = [
                {
                    "item_id": ids[ask.row[place] - 1],
                    "text": texts[ask.row[place] - 1],
                    "contribution": float(own[place]),
                }
                for place in best
            ]
    answer: dict[str, Any] = {
        "model": served.name,
        "items": items,
        "history_length": len(ask.row),
        "milliseconds": round(1e3 * (time.perf_counter() - ask.started), 2),
    }
    if ask.events:
        answer |= {"accepted": ask.accepted, "duplicates": len(ask.events) - ask.accepted}
    return answer


def _indices(served: Served, ids: Sequence[Id], unknown: Unknown, where: str) -> np.ndarray:
    try:
        return served.index(ids, unknown)
    except UserError as error:
        raise Problem(422, "unknown_items", str(error), where) from None


def _marked(columns: np.ndarray, size: int) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    mask[columns] = True
    return mask
