"""What stands beside a graph in a bundle: the neighbours of an ensemble, as `slmrec.runtime.neighbours` reads them."""

import numpy as np

from slmrec.models import Ensemble, Recommender
from slmrec.models.neighbours import Neighbours
from slmrec.runtime import neighbours as runtime


def beside(model: Recommender) -> list[tuple[str, runtime.Neighbours]]:
    """Kind and tables of each member that makes no user vectors; none of a model that is no ensemble."""
    if not isinstance(model, Ensemble):
        return []
    return [
        (member.kind, _tables(member, weight))
        for member, weight in zip(model.members, model.weights, strict=True)
        if weight and isinstance(member, Neighbours)
    ]


def _tables(model: Neighbours, weight: float) -> runtime.Neighbours:
    """Only the neighbours that there are: tables have room for as many of every item, and a row 0 for the padding."""
    nearest, weights = (table.detach()[1:].cpu().numpy() for table in (model.nearest, model.weights))
    kept = weights > 0
    offsets = np.concatenate([[0], kept.sum(axis=1).cumsum()]).astype(np.int64)
    columns = (nearest[kept] - 1).astype(np.int32)
    config = model.config
    return runtime.Neighbours(offsets, columns, weights[kept], weight, config.decay, config.max_length)
