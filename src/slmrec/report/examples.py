"""Real histories with what each model recommends after them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from slmrec.data import Dataset
from slmrec.models import Recommender

EXAMPLES = 10
"""Real histories whose recommendations the report shows by title."""


def examples(models: Mapping[str, Recommender], data: Dataset, seed: int = 0) -> list[dict[str, Any]]:
    """Ten users of the test split with what each model recommends them, by title."""
    cases = data.cases("test")
    rng = np.random.default_rng(seed)
    chosen = sorted(rng.choice(len(cases.users), size=min(EXAMPLES, len(cases.users)), replace=False))
    found = []
    for user, position in zip(cases.users[chosen].tolist(), cases.positions[chosen].tolist(), strict=True):
        history, target = data.history(user, position), int(data.sequence[position])
        ids = data.catalogue.ids(history).to_list()
        recommended = {}
        for name, model in models.items():
            frame = model.recommend([ids], k=10)
            indices = data.catalogue.index(frame["item_id"])
            recommended[name] = [
                {"title": title, "score": round(score, 4), "hit": int(index) == target}
                for title, score, index in zip(data.catalogue.texts(indices), frame["score"], indices, strict=True)
            ]
        found.append(
            {
                "user_id": data.users["user_id"][user],
                "history": data.catalogue.texts(history[-10:]),
                "target": data.catalogue.texts([target])[0],
                "models": recommended,
            }
        )
    return found
