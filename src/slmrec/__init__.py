"""slmrec: distil a large language model into a small sequential recommender, measured honestly."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slmrec.data import Catalogue, Dataset, Preparation
    from slmrec.engine import UserStates
    from slmrec.errors import UserError
    from slmrec.evaluation import compare, evaluate
    from slmrec.models import (
        BERT4Rec,
        Caser,
        Ensemble,
        ESASRec,
        GRU4Rec,
        ItemKNN,
        Popularity,
        SASRec,
        SequentialRules,
        SLMRec,
        TextKNN,
        load,
    )
    from slmrec.scoring import score_parquet
    from slmrec.training.combine import combine
    from slmrec.training.train import (
        distill,
        distill_scores,
        train_classic,
        train_llm,
        train_neighbours,
        train_popularity,
    )

_HOME = {
    "slmrec.data": ("Catalogue", "Dataset", "Preparation"),
    "slmrec.engine": ("UserStates",),
    "slmrec.errors": ("UserError",),
    "slmrec.evaluation": ("compare", "evaluate"),
    "slmrec.models": (
        "BERT4Rec",
        "Caser",
        "ESASRec",
        "Ensemble",
        "GRU4Rec",
        "ItemKNN",
        "Popularity",
        "SASRec",
        "SLMRec",
        "SequentialRules",
        "TextKNN",
        "load",
    ),
    "slmrec.scoring": ("score_parquet",),
    "slmrec.training.combine": ("combine",),
    "slmrec.training.counting": ("train_neighbours", "train_popularity"),
    "slmrec.training.train": ("distill", "distill_scores", "train_classic", "train_llm"),
}

__all__ = [
    "BERT4Rec",
    "Caser",
    "Catalogue",
    "Dataset",
    "ESASRec",
    "Ensemble",
    "GRU4Rec",
    "ItemKNN",
    "Popularity",
    "Preparation",
    "SASRec",
    "SLMRec",
    "SequentialRules",
    "TextKNN",
    "UserError",
    "UserStates",
    "combine",
    "compare",
    "distill",
    "distill_scores",
    "evaluate",
    "load",
    "score_parquet",
    "train_classic",
    "train_llm",
    "train_neighbours",
    "train_popularity",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `slmrec --help` need not wait for torch."""
    for module, names in _HOME.items():
        if name in names:
            try:
                return getattr(importlib.import_module(module), name)
            except ModuleNotFoundError as error:
                from slmrec.extras import missing_extra

                said = missing_extra(error)
                if said is None:
                    raise
                raise said from error
    raise AttributeError(f"module 'slmrec' has no attribute '{name}'")
