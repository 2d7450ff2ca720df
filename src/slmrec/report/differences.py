"""Paired differences between the models of a run, over all cases and by stratum, from its ranks."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from slmrec.evaluation.comparison import bootstrap_interval
from slmrec.evaluation.metrics import metric_values
from slmrec.evaluation.strata import STRATA, strata


@dataclass(frozen=True)
class Difference:
    """Mean NDCG@10 of one model minus another's on the same cases, with its 95 % interval (users drawn)."""

    mean: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Stratum:
    """The cases of one range of history lengths or target counts."""

    label: str
    cases: int
    ndcg: dict[str, float]
    """Model name → mean NDCG@10 over these cases."""
    difference: Difference | None
    """Student minus baseline; None if the run lacks one of them."""


def difference(ranks: pl.DataFrame, model: str, baseline: str) -> Difference | None:
    """Compare two models on the cases that both were ranked on.

    ranks: as `slmrec.evaluation.ranks_frame` makes it, of several models concatenated.
    Returns None if there is no such case, as when a model was not evaluated.
    """
    pairs = ranks.filter(model=model).join(ranks.filter(model=baseline), on=("user", "position"))
    if pairs.is_empty():
        return None
    gained = metric_values("NDCG@10", pairs["rank"].to_numpy())
    lost = metric_values("NDCG@10", pairs["rank_right"].to_numpy())
    users = (
        pairs.select("user", pl.Series("difference", gained - lost))
        .group_by("user", maintain_order=True)
        .agg(pl.col("difference").sum(), pl.len().alias("cases"))
    )
    low, high = bootstrap_interval(users["difference"].to_numpy(), users["cases"].to_numpy())
    return Difference(float((gained - lost).mean()), low, high)


def by_stratum(
    ranks: pl.DataFrame, by: Literal["history_length", "target_count"], model: str, baseline: str
) -> list[Stratum]:
    """Cut the cases into the strata of `slmrec.evaluation`: each model's level, and the paired difference."""
    levels = strata(ranks, by)
    bounds = [int(label.rstrip("+").split("-")[0]) for label in STRATA[by]]
    found = []
    for label, low, high in zip(STRATA[by], bounds, [*bounds[1:], None], strict=True):
        cases = ranks.filter(pl.col(by) >= low)
        if high is not None:
            cases = cases.filter(pl.col(by) < high)
        if not cases.is_empty():
            here = levels.filter(pl.col("stratum") == label)
            ndcg = dict(zip(here["model"], here["NDCG@10"], strict=True))
            found.append(Stratum(label, max(here["cases"]), ndcg, difference(cases, model, baseline)))
    return found
