"""A study's page: tables and plots of its JSON, as Markdown and SVG that are the same for the same numbers."""

import io
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, ScalarFormatter

from slmrec.evaluation import METRICS
from slmrec.report.plots import apart
from slmrec.studies.speed_page import speed_page

LEVEL = 0.05
"""Corrected p below which a difference is called one."""
JOINED = 4
"""Points from which a series is a line with one name, instead of points with a name each."""
APART = 1.12
"""Ratio of neighbours whose labels can both be read on the axis."""
TIMED = 3
"""Models whose requests have been timed from which on quality is drawn against time."""
WIDE = 30
"""Letters from which on a name beside a point breaks; as many as half of the time plot holds."""
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "slmrec",
    "font.size": 9,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_COLOUR = {"slmrec": "#b5542c", "residual": "#b5542c", "ensemble": "#7a7a7a", "popularity": "#7a7a7a"}
_CLASSIC = "#3b6ea5"


def pages(result: Mapping[str, Any]) -> dict[str, str]:
    """File names and their text: NAME.md and, where models were trained, a plot a data set."""
    name = result["study"]
    if result.get("timed"):
        return {f"{name}.md": speed_page(result)}
    plots = {data: f"{name}-{re.sub(r'[^a-z0-9]+', '-', data.lower()).strip('-')}.svg" for data in result["data"]}
    files = {plots[data]: _plot(result, data) for data in result["data"]}
    return {f"{name}.md": _page(result, plots), **files}


def _page(result: Mapping[str, Any], plots: Mapping[str, str]) -> str:
    models = [model for data in result["data"].values() for model in data["models"].values()]
    machines = sorted({machine for model in models for machine in model["machines"]})
    lines = [
        f"# Study: {result['study']}",
        "",
        result["question"],
        "",
        f"`{result['command']}`; full catalogue, seen items masked, ties against the model; on "
        f"{' and '.join(machines)}, {result['written']['finished'][:10]}.",
    ]
    for name, data in result["data"].items():
        lines += ["", f"## {name}", ""]
        lines += [f"{data['users']:,} users, {data['items']:,} items, {data['interactions']:,} interactions.", ""]
        lines += [f"![NDCG@10 of each model on {name}]({plots[name]})", "", *_models(data), *_weights(data)]
        if result["inside"]:
            lines += _kept(data)
            for model, told in data["models"].items():
                if "layer_roles" in told:
                    lines += ["", *_layers(model, told["layer_roles"])]
        if data["comparisons"]:
            lines += ["", *_comparisons(data["comparisons"], "NDCG@10, all cases")]
        if data["comparisons_cold"]:
            cases = data["comparisons_cold"][0]["cases"]
            lines += [
                "",
                *_comparisons(data["comparisons_cold"], f"Items with 0 to 5 training interactions ({cases:,} cases)"),
            ]
    return "\n".join(lines) + "\n"


def _models(data: Mapping[str, Any]) -> list[str]:
    """A row a model, the best first; what no model was asked for has no column."""
    heads = (
        "model",
        "seeds",
        "NDCG@10",
        "HR@10",
        "NDCG@10 by the item's training interactions: 0 / 1-5 / 6-20 / more",
        "parameters held",
        "weights, MB",
        "one request, ms",
        "training, s",
    )
    rows = []
    for name, model in sorted(data["models"].items(), key=lambda entry: -entry[1]["mean"]["NDCG@10"]):
        seeds = list(model["seeds"].values())
        seconds = [seed["training_seconds"] for seed in seeds if "training_seconds" in seed]
        rows.append(
            (
                name,
                "–" if _without_chance(model) else str(len(seeds)),
                _spread(model, "NDCG@10"),
                _spread(model, "HR@10"),
                " / ".join(_strata(model["target_count"])),
                f"{model['parameters']['without_vocabulary']:,}",
                f"{model['weight_bytes'] / 1e6:.1f}" if model.get("weight_bytes") else "–",
                f"{model['mean']['request_ms']:.2f}" if "request_ms" in model["mean"] else "–",
                f"{sum(seconds) / len(seconds):,.0f}" if seconds else "–",
            )
        )
    columns = [column for column in zip(heads, *rows, strict=True) if set(column[1:]) != {"–"}]
    head, *body = zip(*columns, strict=True)
    told, *lines = (f"| {' | '.join(row)} |" for row in (head, *body))
    return [told, f"|{'---|' * len(head)}", *lines]


def _weights(data: Mapping[str, Any]) -> list[str]:
    about = "What each of the models that score or teach together counts, as the validation split would have it."
    return _of_seeds(
        data, "weights", about, lambda weights: [f"{name} {weight:.2f}" for name, weight in weights.items()]
    )


def _kept(data: Mapping[str, Any]) -> list[str]:
    about = "Layers of the decoder that were kept, where not the first."
    return _of_seeds(data, "kept_layers", about, lambda layers: [str(layer + 1) for layer in layers])


def _of_seeds(data: Mapping[str, Any], key: str, about: str, spelled: Callable[[Any], Iterable[str]]) -> list[str]:
    """What seeds of a model have each of their own, a row each; nothing where none has."""
    rows = [
        f"| {name} | {seed} | {', '.join(spelled(told[key]))} |"
        for name, model in data["models"].items()
        for seed, told in model["seeds"].items()
        if key in told
    ]
    head = key.removeprefix("kept_")
    return ["", about, "", f"| model | seed | {head} |", "|---|---|---|", *rows] if rows else []


def _layers(name: str, roles: Mapping[str, Any]) -> list[str]:
    lines = [
        f"What each layer of {name} does: how far it turns a state (block influence, 1 - cosine of what enters and "
        "what leaves), how alike the state after it is to the one before (linear CKA), and what it adds to the true "
        "item's margin over the mean item.",
        "",
        "| layer | block influence | CKA with the layer before | contribution |",
        "|---|---|---|---|",
        f"| the input | – | – | {roles['contribution'][0]:+.3f} |",
    ]
    for layer, influence in enumerate(roles["block_influence"], 1):
        alike, adds = roles["cka"][layer][layer - 1], roles["contribution"][layer]
        lines.append(f"| {layer} | {influence:.3f} | {alike:.3f} | {adds:+.3f} |")
    return lines


def _comparisons(comparisons: list[Mapping[str, Any]], title: str) -> list[str]:
    lines = [
        f"{title}: the model's mean over its seeds less the baseline's, 95 % interval over users and seeds, Cohen's d "
        "over users, p of swapping the two for each user (Holm's correction); better or worse where both are sure.",
        "",
        "| model | against | seeds | difference | in % | interval | d | p | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for found in comparisons:
        # One seed has no spread to resample, so its interval is too narrow: nothing is concluded from it.
        certain = found["p_corrected"] < LEVEL and min(found["seeds"]) > 1 and found["low"] * found["high"] > 0
        verdict = ("better" if found["difference"] > 0 else "worse") if certain else ""
        if min(found["seeds"]) == 1:
            verdict = "one seed"
        cells = [
            found["model"],
            found["baseline"],
            " and ".join(map(str, found["seeds"])),
            f"{found['difference']:+.4f}",
            "–" if found["relative"] is None else f"{100 * found['relative']:+.1f}",
            f"{found['low']:+.4f} to {found['high']:+.4f}",
            f"{found['effect']:+.2f}",
            f"{found['p_corrected']:.4f}",
            verdict,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _without_chance(model: Mapping[str, Any]) -> bool:
    """Whether several seeds gave one result, as they do where nothing is drawn: they say no more than one."""
    return model["sd"] is not None and not any(model["sd"][metric] for metric in METRICS)


def _spread(model: Mapping[str, Any], metric: str) -> str:
    spread = "" if model["sd"] is None or _without_chance(model) else f" ± {model['sd'][metric]:.4f}"
    return f"{model['mean'][metric]:.4f}{spread}"


def _strata(levels: Mapping[str, Any]) -> list[str]:
    """NDCG@10 of items with 0, 1 to 5, 6 to 20 and more interactions in training."""
    rest = [level for label, level in levels.items() if label not in ("0", "1-5", "6-20")]
    more = sum(level["cases"] for level in rest)
    last = sum(level["cases"] * level["NDCG@10"] for level in rest) / more if more else None
    values = [levels[label]["NDCG@10"] if label in levels else None for label in ("0", "1-5", "6-20")]
    return ["–" if value is None else f"{value:.4f}" for value in (*values, last)]


def _plot(result: Mapping[str, Any], data: str) -> str:
    """Quality along the study's axis, if more than one place on it is taken; or each model's, and against its time."""
    models = result["data"][data]["models"]
    axis = {name: place for name, place in result["axis"].items() if name in models}
    with matplotlib.rc_context(_STYLE):
        if len(set(axis.values())) > 1:
            figure = Figure(figsize=(8, 4), layout="constrained")
            _along(figure.subplots(), models, axis, result["axis_title"])
        else:
            timed = sum("request_ms" in model["mean"] for model in models.values()) >= TIMED
            figure = Figure(figsize=(10 if timed else 6, max(2.6, 0.9 + 0.24 * len(models))), layout="constrained")
            first, *second = figure.subplots(
                1, 2 if timed else 1, squeeze=False, width_ratios=(3, 2) if timed else None
            )[0]
            _levels(first, models)
            for axes in second:
                _frontier(axes, models)
        figure.suptitle(data, x=0.01, ha="left")
        buffer = io.StringIO()
        unknown = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(buffer, metadata=unknown)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def _along(axes: Axes, models: Mapping[str, Any], axis: Mapping[str, float], title: str) -> None:
    """Models with a place on the axis as points, those that differ by it alone joined; the others as lines across."""
    top = 1.12 * max(model["mean"]["NDCG@10"] for model in models.values())
    alike: dict[str, list[str]] = {}
    for name in sorted(axis, key=axis.__getitem__):
        level, spread, colour = _level(models[name])
        axes.errorbar(axis[name], level, yerr=spread, fmt="o", color=colour, capsize=2, markersize=4)
        alike.setdefault(_without_place(name, axis[name]), []).append(name)
    beside = []  # level, name and colour of what is named at the right
    for series, names in alike.items():
        levels = [_level(models[name])[0] for name in names]
        colour = _level(models[names[-1]])[2]
        if len(names) >= JOINED:
            axes.plot([axis[name] for name in names], levels, color=colour, linewidth=0.8)
            beside.append((levels[-1], series, colour))
            continue
        for name, level in zip(names, levels, strict=True):
            last = axis[name] == max(axis.values())  # right of it stand the names of levels
            axes.annotate(
                name,
                (axis[name], level),
                (-4 if last else 4, 4),
                textcoords="offset points",
                ha="right" if last else "left",
                color=colour,
                fontsize=7,
            )
    for name, model in models.items():
        if name not in axis:
            level, _, colour = _level(model)
            axes.axhline(level, color=colour, linewidth=0.8, linestyle=":")
            beside.append((level, name, colour))
    beside.sort()
    heights = apart([(level, name) for level, name, _ in beside], 0.04 * top, top)
    for (_, name, colour), height in zip(beside, heights, strict=True):
        axes.annotate(
            name,
            (1, height),
            (4, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=7,
            annotation_clip=False,
        )
    places = sorted(set(axis.values()))
    if places[0] > 0:
        axes.set_xscale("log")
        axes.set_xticks(_readable(places))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.12)
    axes.set_ylim(0, top)
    axes.set_xlabel(title)
    axes.set_ylabel("test NDCG@10")


def _without_place(name: str, place: float) -> str:
    """A name with an ellipsis for its place on the axis, the last number that is it."""
    parts = re.split(rf"\b{place:g}\b", name)
    return "…".join([f"{place:g}".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else name


def _readable(places: list[float]) -> list[float]:
    """Those of rising places that do not run into one another on a logarithmic axis, the last among them."""
    kept: list[float] = []
    for place in reversed(places):
        if not kept or kept[-1] / place >= APART:
            kept.append(place)
    return kept[::-1]


def _levels(axes: Axes, models: Mapping[str, Any]) -> None:
    """One row a model, the best on top, with every seed beside the mean."""
    ranked = sorted(models, key=lambda name: models[name]["mean"]["NDCG@10"])
    for place, name in enumerate(ranked):
        level, _, colour = _level(models[name])
        seeds = [seed["NDCG@10"] for seed in models[name]["seeds"].values()]
        axes.plot(seeds, [place] * len(seeds), "|", color=colour, markersize=8)
        axes.plot(level, place, "o", color=colour, markersize=4)
    axes.set_yticks(range(len(ranked)), ranked)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(5))  # levels close to each other have many digits
    axes.set_xlabel("test NDCG@10; a stroke a seed")


def _frontier(axes: Axes, models: Mapping[str, Any]) -> None:
    """Quality against time; named are the models that no other beats in both."""
    timed = {name: model["mean"]["request_ms"] for name, model in models.items() if "request_ms" in model["mean"]}
    named: list[tuple[float, str]] = []
    for name in sorted(timed, key=timed.__getitem__):
        level, _, colour = _level(models[name])
        axes.plot(timed[name], level, "o", color=colour, markersize=4)
        if not named or level > named[-1][0]:
            named.append((level, name))
    axes.margins(x=0.3, y=0.15)
    middle = math.sqrt(min(timed.values()) * max(timed.values()))  # of the logarithmic axis
    low, high = axes.get_ylim()
    for (_, name), height in zip(named, apart(named, 0.06 * (high - low), high), strict=True):
        colour = _level(models[name])[2]
        late = timed[name] > middle  # a name stands inside its half, for at the edge it would be cut off
        axes.annotate(
            textwrap.fill(name, WIDE),
            (timed[name], height),
            (-4 if late else 4, 4),
            textcoords="offset points",
            ha="right" if late else "left",
            color=colour,
            fontsize=7,
        )
    axes.set_xscale("log")
    left, right = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if right / left > 50 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())  # its labels would be in TeX
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("one request on one thread, ms")
    axes.set_ylabel("test NDCG@10")


def _level(model: Mapping[str, Any]) -> tuple[float, float, str]:
    """Mean, spread over seeds, and the colour of its kind."""
    spread = (model["sd"] or {}).get("NDCG@10", 0.0)
    return model["mean"]["NDCG@10"], spread, _COLOUR.get(model["kind"], _CLASSIC)
