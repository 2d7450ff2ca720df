"""From a source to prepared data: readers, preparation, split, the data set and its folder."""

from slmrec.data.catalogue import PADDING, Catalogue
from slmrec.data.dataset import Cases, Dataset
from slmrec.data.preparation import Preparation
from slmrec.data.prepare import prepare

__all__ = ["PADDING", "Cases", "Catalogue", "Dataset", "Preparation", "prepare"]
