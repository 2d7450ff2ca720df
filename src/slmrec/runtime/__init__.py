"""Recommendations from an exported bundle: NumPy and onnxruntime (or OpenVINO), no torch."""

from slmrec.runtime.bundle import Bundle
from slmrec.runtime.catalogue import Catalogue
from slmrec.runtime.recommendation import Recommendation

__all__ = ["Bundle", "Catalogue", "Recommendation"]
