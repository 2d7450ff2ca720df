"""Events as they are sent, made into events as they are kept."""

import time
from collections.abc import Sequence

from slmrec.serving.fleet import View
from slmrec.serving.problems import Problem
from slmrec.serving.schema import EventBody
from slmrec.serving.store import Event


def dated(bodies: Sequence[EventBody], view: View, where: str) -> list[Event]:
    """Events with the time that they have, or else with this moment's.

    Args:
        bodies: what was sent.
        view: what is served.
        where: the part of the request that they stand in.

    Raises:
        Problem: no served model knows an item.
    """
    now = time.time()
    shelf = view.shelf.items
    unknown = [event for event in bodies if str(event.item_id) not in shelf]
    if unknown:
        said = f"no served model knows {len(unknown)} of the items, the first is '{unknown[0].item_id}'"
        raise Problem(422, "unknown_items", f"{said}; add it first, or leave it out", where)
    return [
        Event(
            str(event.event_id),
            str(event.item_id),
            round(1e6 * (now if event.timestamp is None else event.timestamp)),
        )
        for event in bodies
    ]
