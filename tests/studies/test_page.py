"""The plots of a study's page, read back from their SVG."""

import itertools
import re

import pytest

from slmrec.evaluation import METRICS
from slmrec.studies.page import _kept, _models, _plot


def plotted(axis, levels, *, timed=True):
    """The texts of a plot of models at these levels, of which each takes a millisecond more than the one before."""
    models = {
        name: {
            "kind": "sasrec",
            "mean": {"NDCG@10": level, **({"request_ms": 2.0 + place} if timed else {})},
            "sd": None,
            "seeds": {"0": {"NDCG@10": level}},
        }
        for place, (name, level) in enumerate(levels.items())
    }
    svg = _plot({"axis": axis, "axis_title": "layers", "data": {"d": {"models": models}}}, "d")
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_what_differs_by_its_place_alone_is_named_once():
    depths = (1, 2, 4, 8, 16, 28, 29, 30)
    axis = {f"{depth} layers": float(depth) for depth in depths}
    axis |= {f"30 layers, read after {depth}": float(depth) for depth in depths[:-1]}
    texts = plotted(axis, {name: 0.1 for name in axis} | {"SASRec": 0.1})
    named = [text for text in texts if "layers" in text and text != "layers"]
    assert sorted(named) == ["30 layers, read after …", "… layers"]
    assert "SASRec" in texts
    assert [text for text in texts if text in ("16", "28", "29", "30")] == ["16", "30"]  # no two on each other


def test_a_few_points_keep_their_names():
    texts = plotted({"1 block": 1.0, "2 blocks": 2.0, "4 blocks": 4.0}, dict.fromkeys(("1 block", "2 blocks"), 0.1))
    assert {"1 block", "2 blocks"} <= set(texts)
    assert not [text for text in texts if "…" in text]


def test_one_place_is_no_axis():
    texts = plotted({"taught by 16": 16.0, "taught by 30": 30.0}, {"taught by 30": 0.11, "teacher of 30": 0.10})
    assert "layers" not in texts  # the axis' title
    assert "test NDCG@10; a stroke a seed" in texts


@pytest.mark.parametrize("models", [1, 3, 6, 16, 150])
def test_times_are_told_in_plain_numbers(models):
    texts = plotted({}, {f"m{place}": 0.1 for place in range(models)})
    assert not [text for text in texts if "\\" in text or "$" in text]
    assert [text for text in texts if re.fullmatch(r"[\d.]+", text)]


def test_what_was_not_timed_is_not_drawn_against_time():
    models = {"one": 0.1, "two": 0.2, "three": 0.3}
    assert any("ms" in text for text in plotted({}, models))
    two = {name: models[name] for name in ("one", "two")}
    for texts in (plotted({}, models, timed=False), plotted({}, two)):  # two points are no frontier
        assert {"one", "two"} <= set(texts)
        assert not any("ms" in text for text in texts)


@pytest.mark.parametrize("spread", [0.2, 0.02, 0.002, 0.0018, 0.0011])
def test_numbers_below_levels_close_to_each_other_do_not_run_into_one_another(spread):
    models = {
        f"a model of many words, {place}": {"kind": "sasrec", "mean": {"NDCG@10": level}, "sd": None, "seeds": {}}
        for place, level in enumerate((0.05, 0.05 + spread / 2, 0.05 + spread))
    }
    svg = _plot({"axis": {}, "axis_title": "", "data": {"d": {"models": models}}}, "d")
    numbers = re.findall(r'<text[^>]*text-anchor: middle[^>]* x="([\d.]+)"[^>]*>(0[\d.]+)<', svg)
    places = sorted((float(place), len(number)) for place, number in numbers)
    assert len(places) > 1
    for (left, wide), (right, other) in itertools.pairwise(places):
        assert right - left > 5.5 * (wide + other) / 2  # nine-point digits


def test_names_of_the_frontier_do_not_lie_on_each_other():
    levels = {"low": 0.1, "a": 0.2, "b": 0.2001, "c": 0.2002}
    models = {
        name: {"kind": "sasrec", "mean": {"NDCG@10": level, "request_ms": 2.0 + place}, "sd": None, "seeds": {}}
        for place, (name, level) in enumerate(levels.items())
    }
    svg = _plot({"axis": {}, "axis_title": "", "data": {"d": {"models": models}}}, "d")
    found = re.findall(r'<text style="font-size: 7px[^>]* y="([\d.]+)"[^>]*>([^<]*)<', svg)
    heights = sorted(float(height) for height, name in found if name in levels)
    assert len(heights) == 4
    assert min(upper - lower for lower, upper in itertools.pairwise(heights)) > 7  # the size of their letters


def test_which_layers_were_kept_is_told_where_it_was_chosen():
    models = {"first": {"seeds": {"0": {}}}, "chosen": {"seeds": {"0": {"kept_layers": [0, 4]}, "1": {}}}}
    assert _kept({"models": models})[-1] == "| chosen | 0 | 1, 5 |"
    assert not _kept({"models": {"first": models["first"]}})


def test_what_no_model_was_asked_for_has_no_column():
    model = {
        "parameters": {"without_vocabulary": 1_000},
        "target_count": {},
        "mean": {"NDCG@10": 0.1, "HR@10": 0.2},
        "sd": None,
        "seeds": {"0": {"NDCG@10": 0.1, "HR@10": 0.2}},
    }
    head, line, row = _models({"models": {"one": model}})
    assert "parameters held" in head
    assert not any(column in head for column in ("weights, MB", "one request, ms", "training, s"))
    assert head.count("|") == line.count("|") == row.count("|")
    other = model | {"weight_bytes": 4_000_000, "seeds": {"0": model["seeds"]["0"] | {"training_seconds": 7}}}
    head, _, *rows = _models({"models": {"one": model, "other": other}})
    assert "weights, MB | training, s |" in head
    assert [row.split(" | ")[-2:] for row in rows] == [["–", "– |"], ["4.0", "7 |"]]


def test_seeds_that_change_nothing_are_not_counted():
    def row(*values):
        seeds = {str(seed): {"NDCG@10": value, "HR@10": 0.2} for seed, value in enumerate(values)}
        spread = dict.fromkeys(METRICS, 0.0) | {"NDCG@10": max(values) - min(values)}
        parameters = {"without_vocabulary": 1_000}
        mean = {"NDCG@10": sum(values) / len(values), "HR@10": 0.2}
        model = {"parameters": parameters, "target_count": {}, "mean": mean, "sd": spread, "seeds": seeds}
        other = model | {"sd": None, "seeds": {"0": seeds["0"]}}  # keeps the column of seeds
        return next(line for line in _models({"models": {"this": model, "other": other}}) if line.startswith("| this"))

    assert row(0.1, 0.1).startswith("| this | – | 0.1000 | 0.2000 |")
    assert row(0.1, 0.3).startswith("| this | 2 | 0.2000 ± 0.2000 | 0.2000 ± 0.0000 |")
