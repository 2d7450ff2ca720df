"""Ranking metrics under one protocol, and what may be concluded from them."""

from slmrec.evaluation.comparison import Comparison, compare
from slmrec.evaluation.metrics import METRICS, NOT_FOUND
from slmrec.evaluation.protocol import Evaluation, evaluate
from slmrec.evaluation.strata import ranks_frame, strata

__all__ = ["METRICS", "NOT_FOUND", "Comparison", "Evaluation", "compare", "evaluate", "ranks_frame", "strata"]
