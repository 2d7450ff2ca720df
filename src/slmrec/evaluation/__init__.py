"""Ranking metrics under one protocol, and what may be concluded from them."""

from slmrec.evaluation.comparison import Comparison, compare
from slmrec.evaluation.latency import Latency, request_latency, users_per_second
from slmrec.evaluation.layer_roles import LayerRoles, layer_roles
from slmrec.evaluation.metrics import METRICS, NOT_FOUND
from slmrec.evaluation.over_seeds import SeedComparison, compare_over_seeds, holm
from slmrec.evaluation.protocol import Evaluation, evaluate
from slmrec.evaluation.strata import ranks_frame, strata
from slmrec.evaluation.unit_importance import UnitImportance, unit_importance

__all__ = [
    "METRICS",
    "NOT_FOUND",
    "Comparison",
    "Evaluation",
    "Latency",
    "LayerRoles",
    "SeedComparison",
    "UnitImportance",
    "compare",
    "compare_over_seeds",
    "evaluate",
    "holm",
    "layer_roles",
    "ranks_frame",
    "request_latency",
    "strata",
    "unit_importance",
    "users_per_second",
]
