"""Where a model wins and loses: its ranks, cut by length of history and by the target's popularity."""

from typing import Literal

import numpy as np
import polars as pl

from slmrec.data.dataset import Dataset
from slmrec.errors import UserError, nearest
from slmrec.evaluation.metrics import METRICS, metric_values
from slmrec.evaluation.protocol import Evaluation

STRATA = {
    "history_length": ["1-5", "6-10", "11-20", "21-50", "51-100", "101+"],
    "target_count": ["0", "1-5", "6-20", "21-100", "101+"],
}
"""Labels of the strata, each of which opens with its lower bound."""


def ranks_frame(evaluation: Evaluation, data: Dataset) -> pl.DataFrame:
    """Return one row a case.

    Columns: model; user (index); position in the dataset's sequence; target (item index); history_length, the
    events before the target; target_count, the target's occurrences in train; rank, 0-based Float64 and
    infinite where the target was not found.

    Raises:
        ValueError: the evaluation was made on another dataset.
    """
    if evaluation.fingerprint != data.fingerprint:
        raise ValueError(f"the evaluation of {evaluation.model!r} was made on another dataset than {data.name}")
    users, positions = evaluation.cases.users, evaluation.cases.positions
    targets = data.sequence[positions]
    return pl.DataFrame(
        {
            "model": evaluation.model,
            "user": users,
            "position": positions,
            "target": targets,
            "history_length": positions - data.offsets[users],
            "target_count": data.item_counts()[targets],
            "rank": evaluation.ranks,
        }
    )


def strata(ranks: pl.DataFrame, by: Literal["history_length", "target_count"]) -> pl.DataFrame:
    """Return the mean metrics of each model in each stratum.

    Columns: model, in the order they came; stratum, an Enum in rising order, empty strata left out; cases;
    users; one column a metric.

    Args:
        ranks: as `ranks_frame` makes it, of one model or of several concatenated.
        by: "history_length", or "target_count", the target's occurrences in train.

    Raises:
        UserError: `by` is not in `STRATA`.
    """
    if by not in STRATA:
        raise UserError(f"there are no strata by {by!r}{nearest(by, STRATA)}")
    labels = STRATA[by]
    lower_bounds = [int(label.rstrip("+").split("-")[0]) for label in labels]
    stratum = np.searchsorted(lower_bounds, ranks[by].to_numpy(), side="right") - 1
    rank = ranks["rank"].to_numpy()
    return (
        ranks.with_columns(
            pl.Series("stratum", np.array(labels)[stratum]).cast(pl.Enum(labels)),
            *(pl.Series(metric, metric_values(metric, rank)) for metric in METRICS),
        )
        .group_by("model", "stratum", maintain_order=True)
        .agg(pl.len().alias("cases"), pl.col("user").n_unique().alias("users"), pl.col(*METRICS).mean())
        .sort(pl.col("model").cast(pl.Enum(ranks["model"].unique(maintain_order=True))), "stratum")
    )
