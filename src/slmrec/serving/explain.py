"""Why an item is recommended: what each event of a history contributes to its score, by leaving it out.

    contribution of event e = score(history) - score(history without e)

Exact: each shortened history goes through the model as any other does. The contributions need not add up to the score,
as events speak together. The only event of a history contributes all of the score, as no history has none.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from slmrec.errors import UserError
from slmrec.serving.problems import Problem
from slmrec.serving.served import Id, Served


def contributions(served: Served, history: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of items and what each event contributes to them.

    Args:
        served: the model.
        history: (n,) int, item indices from 1, at least one.
        columns: (C,) int, the items.

    Returns:
        (C,) float32 scores and (n, C) float32 contributions; events before those that the model reads contribute 0.
    """
    read = range(max(0, len(history) - served.max_length), len(history))
    without = [np.delete(history, place) for place in read] if len(history) > 1 else []
    found = served.scores(served.encode([history, *without]), columns)  # (1 + n, C)
    given = np.zeros((len(history), len(columns)), dtype=np.float32)
    given[read.start :] = found[0] - found[1:] if without else found[0]
    return found[0], given


def explain(served: Served, history: Sequence[Id], item: Id) -> dict[str, Any]:
    """What `POST /explain` answers.

    Raises:
        Problem: an item is unknown.
    """
    try:
        where = "body.history"
        row = served.index(history)
        where = "body.item_id"
        column = served.index([item]) - 1
    except UserError as error:
        raise Problem(422, "unknown_items", str(error), where) from None
    scores, given = contributions(served, row, column)
    return {
        "item_id": served.ids[column[0]],
        "score": float(scores[0]),
        "contributions": [
            {
                "item_id": served.ids[index - 1],
                "text": served.texts[index - 1],
                "place": place,
                "contribution": float(contribution),
            }
            for place, (index, contribution) in enumerate(zip(row, given[:, 0], strict=True))
        ],
    }
