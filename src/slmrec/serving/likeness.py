"""Items most like one, by the cosine of their vectors where the model has vectors."""

from typing import Any

from slmrec.serving.fleet import View
from slmrec.serving.problems import Problem


def most_like(view: View, name: str, item: str, k: int) -> dict[str, Any]:
    """What `GET /items/{item_id}/similar` answers.

    Args:
        view: what is served.
        name: of the model that compares.
        item: the spelling of an item's id.
        k: items at most.

    Raises:
        Problem: the model does not know the item, or does not compare items.
    """
    served, mask = view.models[name], view.open[name]
    if item not in served.place:
        raise Problem(404, "unknown_item", f"model '{name}' does not know the item '{item}'", "path.item_id")
    if not served.compares:
        said = f"a model of kind {served.kind} does not compare items; ask another model"
        raise Problem(422, "no_likeness", said, "query.model")
    out = 0 if mask is None else len(mask) - int(mask.sum())
    found = [
        (column, score) for column, score in served.similar(served.place[item], k + out) if mask is None or mask[column]
    ]
    items = [
        {"item_id": served.ids[column], "text": served.texts[column], "score": score, "rank": rank}
        for rank, (column, score) in enumerate(found[:k], start=1)
    ]
    return {"model": name, "items": items}
