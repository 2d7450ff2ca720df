"""From a source to prepared data: readers, preparation, split, the data set and its folder."""

from slmrec.data.catalogue import Catalogue
from slmrec.data.dataset import Cases, Dataset
from slmrec.data.preparation import Preparation
from slmrec.data.prepare import prepare, prepare_source
from slmrec.data.raw import Raw
from slmrec.data.readers import FORMATS, read_source
from slmrec.data.sources import KNOWN, fetch
from slmrec.runtime.catalogue import PADDING

__all__ = [
    "FORMATS",
    "KNOWN",
    "PADDING",
    "Cases",
    "Catalogue",
    "Dataset",
    "Preparation",
    "Raw",
    "fetch",
    "prepare",
    "prepare_source",
    "read_source",
]
