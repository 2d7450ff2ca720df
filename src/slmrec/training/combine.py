"""Trained models as one that scores by all of them, each counted as the validation split would have it."""

import time
from collections.abc import Sequence
from pathlib import Path

from slmrec.data import Dataset
from slmrec.data.description import in_a_sentence
from slmrec.errors import UserError
from slmrec.exclusive import exclusive
from slmrec.files import check_replaceable
from slmrec.models import Ensemble, Recommender
from slmrec.training.ensemble_weights import ensemble_weights


def combine(models: Sequence[Recommender], data: Dataset, out: Path) -> Ensemble:
    """Put trained models together into a model folder; nothing is trained.

    Args:
        models: two or more, of any kind; one that adds nothing to the others is left out.
        data: what they were trained on, whose validation split says how much each counts.
        out: model folder; it holds all it needs.

    Raises:
        UserError: fewer than two models, or one of other items.
    """
    if len(models) < 2:
        raise UserError("one model alone is no ensemble; give two or more")
    check_replaceable(out, "config.json")
    for place, model in enumerate(models):
        if not model.catalogue.frame["item_id"].equals(data.catalogue.frame["item_id"]):
            raise UserError(f"model {place} ranks other items than '{data.name}' has; give what it was trained on")
    with exclusive(out):
        started = time.perf_counter()
        weights = ensemble_weights(models, data)
        asked = [(model, weight) for model, weight in zip(models, weights, strict=True) if weight]
        together = Ensemble.of([model for model, _ in asked], [weight for _, weight in asked])
        seconds = round(time.perf_counter() - started, 2)
        training = {"seconds": seconds, "steps": 0, "best_epoch": 0, "log": [], "options": {}, "weights": weights}
        together.save_pretrained(out, {"data": in_a_sentence(data), "training": training})
    return together
