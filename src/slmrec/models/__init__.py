from pathlib import Path

from slmrec.models.base import Recommender
from slmrec.models.bert4rec import BERT4Rec, BERT4RecConfig
from slmrec.models.caser import Caser, CaserConfig
from slmrec.models.classic import Classic, ClassicConfig
from slmrec.models.dot_product import DotProductRecommender
from slmrec.models.ensemble import Ensemble, EnsembleConfig
from slmrec.models.esasrec import ESASRec, ESASRecConfig
from slmrec.models.folder import kind_of_folder
from slmrec.models.gru4rec import GRU4Rec, GRU4RecConfig
from slmrec.models.item_knn import ItemKNN, ItemKNNConfig
from slmrec.models.neighbours import Neighbours
from slmrec.models.popularity import Popularity
from slmrec.models.residual import Residual, ResidualConfig
from slmrec.models.sasrec import SASRec, SASRecConfig
from slmrec.models.sequential_rules import SequentialRules, SequentialRulesConfig
from slmrec.models.slmrec import SLMRec, SLMRecConfig
from slmrec.models.text_knn import TextKNN, TextKNNConfig

KINDS: dict[str, type[Recommender]] = {
    cls.kind: cls
    for cls in (
        Popularity,
        ItemKNN,
        SequentialRules,
        TextKNN,
        GRU4Rec,
        Caser,
        BERT4Rec,
        SASRec,
        ESASRec,
        SLMRec,
        Residual,
        Ensemble,
    )
}


def load(folder: str | Path) -> Recommender:
    """Load a model folder of any kind.

    Raises:
        UserError: it is missing, damaged, truncated, or another kind of folder.
    """
    return KINDS[kind_of_folder(Path(folder))].from_pretrained(folder)


__all__ = [
    "KINDS",
    "BERT4Rec",
    "BERT4RecConfig",
    "Caser",
    "CaserConfig",
    "Classic",
    "ClassicConfig",
    "DotProductRecommender",
    "ESASRec",
    "ESASRecConfig",
    "Ensemble",
    "EnsembleConfig",
    "GRU4Rec",
    "GRU4RecConfig",
    "ItemKNN",
    "ItemKNNConfig",
    "Neighbours",
    "Popularity",
    "Recommender",
    "Residual",
    "ResidualConfig",
    "SASRec",
    "SASRecConfig",
    "SLMRec",
    "SLMRecConfig",
    "SequentialRules",
    "SequentialRulesConfig",
    "TextKNN",
    "TextKNNConfig",
    "load",
]
