"""The plots of the report: Matplotlib figures as inline SVG that takes its colours and type from the page.

Colours are drawn as placeholders and replaced by CSS variables, so that one SVG is legible in light, dark and
print. Every figure is as narrow as a phone; the page lays them out side by side where there is room.
"""

import io
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from slmrec.report.numbers import compact, metric
from slmrec.report.run import TITLES, title

_VARIABLES = ("ink", "muted", "rule", "surface", *TITLES, "other")  # of the page's style sheet
_PLACEHOLDER = {name: f"#0a{index:02x}c5" for index, name in enumerate(_VARIABLES)}
_VARIABLE = {hexadecimal: f"var(--{name.replace('_', '-')})" for name, hexadecimal in _PLACEHOLDER.items()}
INK, MUTED, RULE, SURFACE = (_PLACEHOLDER[name] for name in ("ink", "muted", "rule", "surface"))

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: searchable, read aloud, set in the page's own type
    "text.parse_math": False,
    "font.size": 11,
    "text.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 11,
    "axes.titlesize": 11,
    "axes.titlecolor": MUTED,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": RULE,
    "xtick.labelcolor": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "ytick.labelcolor": MUTED,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
}
WIDE, NARROW = 400, 280  # widths of figures in CSS pixels: two or four of them stand beside each other
_DASHES = {"popularity": (0, (1, 2)), "student_ce": (0, (4, 2))}
_MARKERS = {
    **{"popularity": "D", "item_knn": "P", "sequential_rules": ">", "text_knn": "v", "sasrec": "s"},
    **{"sasrec_combined": "<", "sasrec_taught": "p", "teacher": "^"},
    **{"student_ce": "o", "student": "o", "student_combined": "*"},
}


@dataclass(frozen=True)
class Point:
    """One model in a plot of quality against cost."""

    model: str
    cost: float
    ndcg: float


def learning_curve(model: str, log: Sequence[Mapping[str, Any]], highest: float) -> Markup:
    """Plot a model's training loss above its validation NDCG@10, over epochs.

    log: rows of training.json; a series takes the rows that hold its value. highest: best validation value of
    the run, which ends the validation axis of all its models so that their curves compare.
    """
    epochs, losses = _series(log, "loss")
    valid_epochs, valid = _series(log, "valid_NDCG@10")
    with matplotlib.rc_context(_STYLE):
        figure, (above, below) = _figure(NARROW, 260, rows=2)
        above.set_title("Training loss")
        _draw(above, model, epochs, losses)
        below.set_title("Validation NDCG@10")
        _draw(below, model, valid_epochs, valid)
        if valid:
            best = max(range(len(valid)), key=valid.__getitem__)
            below.plot(valid_epochs[best], valid[best], **_marker(model))
            below.annotate(
                metric(valid[best]),
                (valid_epochs[best], valid[best]),
                (0, 7),
                textcoords="offset points",
                ha="center",
            )
        below.set_ylim(0, highest * 1.18 or 1)
        below.set_xlabel("epoch")
        for axes in (above, below):
            axes.yaxis.set_major_locator(MaxNLocator(3))
        below.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        said = [f"{title(model)} over {epochs[-1]:.0f} epochs"] if epochs else [title(model)]
        if losses:
            said.append(f"training loss from {losses[0]:.3g} to {losses[-1]:.3g}")
        if valid:
            said.append(f"validation NDCG@10 best at {metric(valid[best])} in epoch {valid_epochs[best]:.0f}")
        return _svg(figure, "; ".join(said))


def loss_part(model: str, log: Sequence[Mapping[str, Any]], part: str) -> Markup:
    """Plot one named part of a model's training loss over epochs, on its own scale."""
    epochs, values = _series(log, part)
    with matplotlib.rc_context(_STYLE):
        figure, (axes,) = _figure(NARROW, 150)
        _draw(axes, model, epochs, values)
        axes.set_xlabel("epoch")
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        return _svg(figure, f"{part} of {title(model)}: from {values[0]:.3g} to {values[-1]:.3g}")


def quality_against(points: Sequence[Point], floor: float | None, cost: str, unit: str = "") -> Markup:
    """Plot NDCG@10 against a cost on a logarithmic axis; each model is named at the right, at its level.

    points: models with a cost above 0. floor: popularity's NDCG@10, drawn as a line, if the run holds it.
    """
    with matplotlib.rc_context(_STYLE):
        figure, (axes,) = _figure(WIDE, 260)
        costs = [point.cost for point in points]
        left, right = min(costs) / 1.8, max(costs) * 1.8
        top = max([*(point.ndcg for point in points), floor or 0]) * 1.12 or 1
        levels = [(point.ndcg, point.model) for point in points]
        if floor is not None:
            axes.axhline(floor, **_line("popularity"))
            levels.append((floor, "popularity"))
        for point in points:
            axes.plot(point.cost, point.ndcg, **_marker(point.model))
        axes.set_xscale("log")
        axes.set_xlim(left, right)
        axes.set_ylim(0, top)
        for (level, model), height in zip(sorted(levels), apart(sorted(levels), 0.075 * top, top), strict=True):
            start = next((point.cost for point in points if point.model == model), right)
            axes.annotate(
                title(model),
                (1, height),
                (7, 0),
                xycoords=axes.get_yaxis_transform(),
                textcoords="offset points",
                va="center",
                color=_colour(model),
                annotation_clip=False,
            )
            axes.plot([start, right], [level, height], color=_colour(model), linewidth=0.6, alpha=0.55, zorder=1)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if right / left > 50 else (1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(EngFormatter(unit=unit, sep="\u202f"))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_title("NDCG@10")
        axes.set_xlabel(cost)
        said = ", ".join(f"{title(p.model)} {metric(p.ndcg)} at {compact(p.cost)}{unit and ' ' + unit}" for p in points)
        return _svg(figure, f"NDCG@10 against {cost}: {said}")


def levels_by_stratum(labels: Sequence[str], levels: Mapping[str, Sequence[float | None]], what: str) -> Markup:
    """Plot each model's NDCG@10 (S levels, None where it has no case) over S strata of ``what``."""
    with matplotlib.rc_context(_STYLE):
        figure, (axes,) = _figure(WIDE, 230)
        for model, values in levels.items():
            shown = [(place, value) for place, value in enumerate(values) if value is not None]
            axes.plot(*zip(*shown, strict=True), **_line(model))
            for place, value in shown:
                axes.plot(place, value, **_marker(model, size=5), clip_on=False, zorder=3)
        axes.set_xticks(range(len(labels)), labels)
        axes.set_xlim(-0.4, len(labels) - 0.6)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_title("NDCG@10")
        axes.set_xlabel(what)
        return _svg(
            figure,
            f"NDCG@10 of {', '.join(title(model) for model in levels)} by {what}; numbers in the table",
        )


def _figure(width: float, height: float, rows: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width / 72, height / 72), layout="constrained")  # SVG has 72 units an inch
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)
    return figure, list(axes[:, 0])


def _series(log: Sequence[Mapping[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """Return (epochs, values) of the rows that hold a value of this name."""
    rows = [row for row in log if row.get(name) is not None]
    return [row["epoch"] for row in rows], [row[name] for row in rows]


def _draw(axes: Axes, model: str, epochs: Sequence[float], values: Sequence[float]) -> None:
    """Draw a line, with its points where they are few: one point alone has no line."""
    axes.plot(epochs, values, **_line(model), marker="." if len(values) < 40 else "", markersize=5)


def _colour(model: str) -> str:
    return _PLACEHOLDER.get(model, _PLACEHOLDER["other"])


def _line(model: str) -> dict[str, Any]:
    return {"color": _colour(model), "linestyle": _DASHES.get(model, "-")}


def _marker(model: str, size: float = 7) -> dict[str, Any]:
    """A marker that tells the model without its colour: by its shape, and hollow for student_ce."""
    fill = SURFACE if model == "student_ce" else _colour(model)
    return {
        "marker": _MARKERS.get(model, "X"),
        "markersize": size,
        "markerfacecolor": fill,
        "markeredgecolor": _colour(model),
        "markeredgewidth": 1.5,
        "linestyle": "none",
    }


def apart(levels: Sequence[tuple[float, str]], gap: float, top: float) -> list[float]:
    """Return heights for labels at rising levels, each at least ``gap`` above the one before it, none above ``top``."""
    heights = [level for level, _ in levels]
    for _ in range(50):
        moved = False
        for lower, upper in itertools.pairwise(range(len(heights))):
            lack = gap - (heights[upper] - heights[lower])
            if lack > 1e-9 * gap:
                heights[lower] -= lack / 2
                heights[upper] += lack / 2
                moved = True
        if not moved:
            break
    room = top
    for place in reversed(range(len(heights))):
        heights[place] = min(heights[place], room)
        room = heights[place] - gap
    return heights


def _svg(figure: Figure, label: str) -> Markup:
    """Return a figure as an SVG element of an HTML page: no prolog, no foreign ids, page colours, a label."""
    buffer = io.StringIO()
    unknown = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": label}):  # ids that are unique in the page and the same every time
        FigureCanvasSVG(figure).print_svg(buffer, metadata=unknown)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    view = re.search(r'viewBox="[^"]*"', svg)[0]  # type: ignore[index]  # Matplotlib always writes one
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub("|".join(_VARIABLE), lambda found: _VARIABLE[found[0]], body)
    return Markup(f'<svg {view} role="img" aria-label="{escape(label)}">{body}')
