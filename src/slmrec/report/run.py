"""The files of a RUN folder that the report is made of."""

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import polars as pl

from slmrec.errors import UserError
from slmrec.files import read_json

TITLES = {
    "popularity": ("Popularity", "popularity"),
    "item_knn": ("Item-kNN", "item-kNN"),
    "sequential_rules": ("Sequential rules", "sequential rules"),
    "text_knn": ("Text-kNN", "text-kNN"),
    "sasrec": ("SASRec", "SASRec"),
    "sasrec_combined": ("SASRec + neighbours", "SASRec with neighbours"),
    "sasrec_taught": ("SASRec, taught", "the taught SASRec"),
    "teacher": ("Teacher", "the teacher"),
    "student_ce": ("Student, cross-entropy", "the student trained by cross-entropy alone"),
    "student": ("Student, distilled", "the distilled student"),
    "student_combined": ("Student + neighbours", "the distilled student with neighbours"),
}
"""Model name → how a table and how a sentence calls it, in the order of every table and plot."""

SOMETIMES = ("sequential_rules", "text_knn", "sasrec_combined", "sasrec_taught", "student_combined")
"""Models that a run has only if its recipe asks for them."""

_EVALUATION = {
    *("model", "data", "split", "protocol", "seen", "seed", "users", "cases", "cold_targets"),
    *("metrics", "parameters", "seconds"),
}
_RANKS = ["model", "user", "position", "history_length", "target_count", "rank"]


def title(model: str, inside: bool = False) -> str:
    """Return what a table, or with ``inside`` the inside of a sentence, calls a model."""
    return TITLES.get(model, (model, model))[inside]


@dataclass(frozen=True)
class Run:
    """What a RUN folder says; whatever the run did not leave behind is empty, never invented."""

    folder: Path
    """The RUN folder itself."""
    metrics: dict[str, dict[str, Any]]
    """Model name → its entry of metrics.json, in the order of `TITLES`, other models last."""
    training: dict[str, dict[str, Any]]
    """Model name → its training.json."""
    info: dict[str, Any]
    """run.json: source, recipe, stages, machine, dataset."""
    dataset: dict[str, Any]
    """data/dataset.json."""
    examples: list[dict[str, Any]]
    """examples.json."""
    ranks: pl.DataFrame | None
    """ranks.parquet: model, user, position, target, history_length, target_count, rank."""

    def ndcg(self, model: str) -> float:
        """Return a model's NDCG@10 on the test split."""
        return self.metrics[model]["metrics"]["NDCG@10"]

    def users_per_second(self, model: str) -> float | None:
        """Return how many users a second a model was evaluated on; None if no time was taken."""
        entry = self.metrics[model]
        return entry["users"] / entry["seconds"] if entry["seconds"] else None


def read_run(folder: Path) -> Run:
    """Read a RUN folder.

    Raises:
        UserError: metrics.json is missing or holds no evaluation, or a file is not what it should be.
    """
    entries = _json(folder / "metrics.json", list)
    if entries is None:
        raise UserError(
            f"{folder} has no metrics.json, so there is nothing to report; finish the run first: "
            f"slmrec run SOURCE --out {folder}"
        )
    if not entries or not all(isinstance(entry, dict) and entry.keys() >= _EVALUATION for entry in entries):
        raise UserError(
            f"{folder / 'metrics.json'} should be a list of evaluations, each with "
            f"{', '.join(sorted(_EVALUATION))}; remove it and run again"
        )
    metrics = {PurePath(entry["model"]).name: entry for entry in entries}
    names = [name for name in TITLES if name in metrics] + [name for name in metrics if name not in TITLES]
    training = {name: _json(folder / name / "training.json", dict) for name in names}
    return Run(
        folder=folder,
        metrics={name: metrics[name] for name in names},
        training={name: log for name, log in training.items() if log is not None},
        info=_json(folder / "run.json", dict) or {},
        dataset=_json(folder / "data" / "dataset.json", dict) or {},
        examples=_json(folder / "examples.json", list) or [],
        ranks=_ranks(folder / "ranks.parquet"),
    )


def _json(path: Path, expected: type[list] | type[dict]) -> Any:
    """Return the content of a JSON file, None if there is no such file."""
    if not path.is_file():
        return None
    content = read_json(path, "run")
    if not isinstance(content, expected):
        kind = "list" if expected is list else "object"
        raise UserError(f"{path} should hold a JSON {kind}; remove it and run again")
    return content


def _ranks(path: Path) -> pl.DataFrame | None:
    """Return the frame of ranks, None if there is no such file."""
    if not path.is_file():
        return None
    try:
        return pl.read_parquet(path, columns=_RANKS)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UserError(f"{path} is no table of ranks ({error}); remove it and run again") from error
