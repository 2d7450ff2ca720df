from pathlib import Path

from slmrec.models.base import Recommender
from slmrec.models.folder import kind_of_folder
from slmrec.models.popularity import Popularity
from slmrec.models.sasrec import SASRec, SASRecConfig
from slmrec.models.slmrec import SLMRec, SLMRecConfig

KINDS: dict[str, type[Recommender]] = {cls.kind: cls for cls in (Popularity, SASRec, SLMRec)}


def load(folder: str | Path) -> Recommender:
    """Load a model folder of any kind.

    Raises:
        UserError: it is missing, damaged, truncated, or another kind of folder.
    """
    return KINDS[kind_of_folder(Path(folder))].from_pretrained(folder)


__all__ = ["KINDS", "Popularity", "Recommender", "SASRec", "SASRecConfig", "SLMRec", "SLMRecConfig", "load"]
