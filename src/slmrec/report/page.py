"""The page: what each section shows, and the file it becomes."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jinja2

from slmrec.evaluation.metrics import METRICS
from slmrec.files import write_text
from slmrec.report import numbers
from slmrec.report.account import facts, protocol, recipe_in_short
from slmrec.report.differences import Difference, Stratum, by_stratum, difference
from slmrec.report.plots import Point, learning_curve, levels_by_stratum, loss_part, quality_against
from slmrec.report.run import SOMETIMES, TITLES, Run, read_run, title
from slmrec.report.verdict import Gap, findings, headline

LOSS_PARTS = {
    "cross_entropy": "Cross-entropy of the next item",
    "cosine": "Cosine distance to the teacher",
    "norm": "Distance to the teacher",
    "multi_supervision": "Cross-entropy at inner blocks",
    "score_kl": "Divergence from the teacher’s scores",
}
"""The terms of the distilled student's objective, as a reader who has not read the paper would call them."""
COMPARED = [
    *((model, "sasrec") for model in TITLES if model != "sasrec"),
    ("student", "teacher"),
    ("student", "student_ce"),
    ("student", "item_knn"),
    ("student", "sasrec_taught"),
    ("student_combined", "student"),
    ("student_combined", "sasrec_combined"),
]
"""(model, baseline) pairs whose difference the report shows."""
CUTS: tuple[tuple[Literal["history_length", "target_count"], str, str], ...] = (
    ("history_length", "By length of the history", "events before the target"),
    ("target_count", "By popularity of the target", "training events of the target"),
)
"""Column of the ranks, caption, and what its values are."""


@dataclass(frozen=True)
class Plot:
    """One figure and what stands above it."""

    caption: str
    svg: str
    model: str = ""
    """Whose figure it is; empty: everybody's."""


@dataclass(frozen=True)
class Strata:
    """One way to cut the cases: its plot and its table."""

    caption: str
    what: str
    svg: str
    rows: list[Stratum]
    scale: float
    """Half the width of the axis of differences."""


def write_report(run: Path) -> Path:
    """Write ``run``/report.html, one self-contained page, from the files of a RUN folder; return its path.

    Models and files that the run lacks are left out of the page, which then says so.

    Raises:
        UserError: the folder holds no metrics.json, or a file of it is damaged.
    """
    path = run / "report.html"
    write_text(path, render(read_run(run)))
    return path


def render(run: Run) -> str:
    """Return the page of a run as HTML."""
    gaps = _gaps(run)
    ranks = run.ranks
    gap: Gap = cache(lambda model, baseline: None if ranks is None else difference(ranks, model, baseline))
    ndcg = {name: run.ndcg(name) for name in run.metrics}
    layers = _layers(run.info.get("recipe", {}))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("slmrec.report", "."),
        autoescape=True,  # titles and ids may hold anything
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        name: getattr(numbers, name) for name in ("metric", "signed", "count", "compact", "percent", "rate", "duration")
    }
    environment.filters |= {"title": title}
    return environment.get_template("report.html.jinja").render(
        run=run,
        headline=headline(ndcg, gap, layers),
        findings=findings(run, gap),
        layers=layers,
        metric_names=list(METRICS),
        best={name: max(entry["metrics"][name] for entry in run.metrics.values()) for name in METRICS},
        first=next(iter(run.metrics.values())),
        missing_models=[title(name, inside=True) for name in TITLES if name not in (*run.metrics, *SOMETIMES)],
        differences=gaps,
        difference_scale=_scale([gap for (model, _), gap in gaps.items() if model != "popularity"]),
        curves=_curves(run),
        loss_parts=_loss_parts(run),
        trade_offs=_trade_offs(run, ndcg),
        strata=_strata(run),
        dataset=run.dataset.get("meta", {}).get("counts") or run.info.get("dataset", {}),
        steps=run.dataset.get("meta", {}).get("steps", []),
        stages=run.info.get("stages", []),
        facts=facts(run),
        protocol=protocol(run),
        recipe_in_short=recipe_in_short(run),
        recipe=json.dumps(run.info.get("recipe", {}), indent=2, ensure_ascii=False),
        commands=_commands(run),
        position=position,
    )


def position(value: float, scale: float) -> float:
    """Return where a difference lies on a bar from −scale (0 %) to +scale (100 %), stopped at its ends."""
    return round(50 + 50 * max(-1.0, min(1.0, value / scale)), 2)


def _gaps(run: Run) -> dict[tuple[str, str], Difference]:
    if run.ranks is None:
        return {}
    compared = {pair: difference(run.ranks, *pair) for pair in COMPARED}
    return {pair: found for pair, found in compared.items() if found}


def _scale(found: Sequence[Difference | None]) -> float:
    """Return half the width of the axis that holds all intervals."""
    return max((max(abs(gap.low), abs(gap.high)) for gap in found if gap), default=0) * 1.05 or 1.0


def _layers(recipe: Mapping[str, Any]) -> dict[str, int]:
    """Return the decoder layers of teacher and student, where the recipe says them."""
    return {name: recipe[name]["layers"] for name in ("teacher", "student") if "layers" in recipe.get(name, {})}


def _curves(run: Run) -> list[Plot]:
    logs = {name: training["log"] for name, training in run.training.items() if training["log"]}
    reached = [row["valid_NDCG@10"] for log in logs.values() for row in log if row.get("valid_NDCG@10")]
    return [Plot(title(name), learning_curve(name, log, max(reached, default=0)), name) for name, log in logs.items()]


def _loss_parts(run: Run) -> list[Plot]:
    log = run.training.get("student", {}).get("log", [])
    present = [part for part in LOSS_PARTS if any(row.get(part) is not None for row in log)]
    return [Plot(LOSS_PARTS[part], loss_part("student", log, part)) for part in present]


def _trade_offs(run: Run, ndcg: Mapping[str, float]) -> list[Plot]:
    """Return NDCG@10 against parameters and against evaluation time; popularity, nearly free, is a line."""
    parameters = {name: entry["parameters"]["without_vocabulary"] for name, entry in run.metrics.items()}
    seconds = {name: entry["seconds"] for name, entry in run.metrics.items()}
    found = []
    for caption, cost, what, unit in (
        ("Parameters without the text vocabulary", parameters, "parameters", ""),
        ("Time to rank the catalogue for all test users", seconds, "seconds", "s"),
    ):
        points = [Point(name, cost[name], ndcg[name]) for name in cost if name != "popularity" and cost[name]]
        if points:
            found.append(Plot(caption, quality_against(points, ndcg.get("popularity"), what, unit)))
    return found


def _strata(run: Run) -> list[Strata]:
    if run.ranks is None:
        return []
    found = []
    for by, caption, what in CUTS:
        rows = by_stratum(run.ranks, by, "student", "sasrec")
        ranked = [name for name in run.metrics if any(name in row.ndcg for row in rows)]
        levels = {name: [row.ndcg.get(name) for row in rows] for name in ranked}
        svg = levels_by_stratum([row.label for row in rows], levels, what)
        found.append(Strata(caption, what, svg, rows, _scale([row.difference for row in rows])))
    return found


def _commands(run: Run) -> list[tuple[str, str]]:
    """Return (what for, command) pairs that go on from this run."""
    model = next((name for name in ("student", *reversed(TITLES)) if name in run.metrics), next(iter(run.metrics)))
    folder, data = (shlex.quote(str(run.folder / name)) for name in (model, "data"))
    user = shlex.quote(str(run.examples[0]["user_id"])) if run.examples else "USER"
    return [
        ("Recommend for a user of the data", f"slmrec recommend {folder} --user {user} --data {data}"),
        ("Recommend for anybody, from a history", f'slmrec recommend {folder} --history "ID,ID,ID" -k 10'),
        ("Measure it with seen items kept", f"slmrec evaluate {folder} --data {data} --seen kept"),
        ("Look at the data", f"slmrec data describe {data}"),
        ("Do the same with your own data", "slmrec run YOUR_DATA --out NEW_FOLDER"),
    ]
