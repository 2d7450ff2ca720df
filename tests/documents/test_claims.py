"""The rules of docs/claims.md on comparisons made up so that each part of a rule decides once."""

import importlib.util
import json
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("claims", Path(__file__).parents[2] / "benchmarks" / "claims.py")
claims = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(claims)


def found(gain: float, low: float, high: float, p: float, seeds: tuple[int, int] = (3, 3)) -> dict:
    """A comparison as a study's JSON has it."""
    return {"difference": gain / 10, "relative": gain, "low": low, "high": high, "p_corrected": p, "seeds": list(seeds)}


@pytest.mark.parametrize(
    ("comparison", "expected", "verdict"),
    [
        (found(0.1, 0.001, 0.02, 0.01), "better", "holds, 3 seeds"),
        (found(0.1, 0.001, 0.02, 0.01), "as good", "holds, 3 seeds"),
        (found(0.1, 0.001, 0.02, 0.01), "worse", "refuted, 3 seeds"),
        (found(-0.1, -0.02, -0.001, 0.01), "better", "refuted, 3 seeds"),
        (found(-0.1, -0.02, -0.001, 0.01), "as good", "refuted, 3 seeds"),
        (found(-0.1, -0.02, -0.001, 0.01), "worse", "holds, 3 seeds"),
        (found(0.1, -0.001, 0.02, 0.01), "better", "not shown: no difference found, 3 seeds"),  # zero within
        (found(0.1, 0.001, 0.02, 0.06), "better", "not shown: no difference found, 3 seeds"),  # p too large
        (found(-0.1, -0.02, 0.001, 0.2), "as good", "holds so far: no loss found, 3 seeds"),
        (found(0.1, 0.001, 0.02, 0.01, (2, 3)), "better", "holds, 2 seeds"),
        (found(0.1, 0.001, 0.02, 0.01, (1, 3)), "better", "one seed: no verdict"),
        (found(0.1, 0.001, 0.02, 0.01, (3, 1)), "better", "one seed: no verdict"),
    ],
)
def test_a_verdict_needs_seeds_an_interval_without_zero_and_a_small_p(comparison, expected, verdict):
    assert claims._verdict(comparison, expected) == verdict


@pytest.mark.parametrize(
    ("comparison", "percent", "said"),
    [
        (found(0.121, 0.001, 0.02, 0.01), 12, "yes"),
        (found(0.119, 0.001, 0.02, 0.01), 12, "no"),
        (found(0.121, -0.001, 0.02, 0.01), 12, "not certain"),
        (found(0.121, 0.001, 0.02, 0.06), 12, "not certain"),
        (found(0.121, 0.001, 0.02, 0.01, (1, 3)), 12, "yes, one seed"),
        (found(0.119, 0.001, 0.02, 0.01, (1, 1)), 12, "no, one seed"),
        (found(0.121, 0.001, 0.02, 0.01, (3, 1)), 12, "yes"),  # the baseline may have one: a pool of teachers has
    ],
)
def test_an_aim_is_reached_by_what_was_hoped_for_and_certain(comparison, percent, said):
    assert claims._reached(comparison, percent) == said


def test_what_was_measured_apart_stands_below_its_study(tmp_path, monkeypatch):
    for study, data in (("blocks-more", "films"), ("blocks", "beauty"), ("blockstudy", "others"), ("kd", "others")):
        comparison = found(0.1, 0.001, 0.02, 0.01) | {"model": "4 blocks", "baseline": "1 block"}
        (tmp_path / f"{study}.json").write_text(json.dumps({"data": {data: {"comparisons": [comparison]}}}))
    monkeypatch.setattr(claims, "STUDIES", tmp_path)
    (claim,) = (claim for claim in claims.CLAIMS if claim.study == "blocks")
    assert [row[0] for row in claims._rows(claim)] == ["beauty", "films"]


def test_an_aim_is_told_of_its_own_data_and_where_there_is_something_to_tell(tmp_path, monkeypatch):
    pair = {"model": "SASRec taught by classics", "baseline": "SASRec + text"}
    gain = found(0.06, 0.001, 0.02, 0.01) | pair
    nothing = found(0.0, 0.0, 0.0, 1.0) | pair | {"relative": None}  # of few rare items neither finds any
    data = {name: {"comparisons": [gain], "comparisons_cold": [nothing]} for name in ("ml-1m", "beauty")}
    (tmp_path / "models.json").write_text(json.dumps({"data": data}))
    monkeypatch.setattr(claims, "STUDIES", tmp_path)
    rows = [line.split(" | ") for line in claims._aims() if "SASRec taught by classics" in line]
    told = [(row[1], row[4], row[-1].removesuffix(" |")) for row in rows]
    assert told == [("+5 %", "ml-1m", "yes"), ("+10 %", "beauty", "no"), ("", "ml-1m", "no")]


def test_of_two_studies_the_one_with_more_seeds_tells(tmp_path, monkeypatch):
    pair = {"model": "SASRec taught by classics", "baseline": "SASRec + text"}
    for study, seeds, relative in (("models-a", [3, 2], 0.08), ("models-b", [3, 3], 0.11), ("models-c", [9, 1], 0.2)):
        comparison = found(relative, 0.001, 0.02, 0.01) | pair | {"seeds": seeds}
        data = {"comparisons": [comparison], "comparisons_cold": []}
        (tmp_path / f"{study}.json").write_text(json.dumps({"data": {"beauty": data}}))
    monkeypatch.setattr(claims, "STUDIES", tmp_path)
    (row,) = (line for line in claims._aims() if "SASRec taught by classics" in line)
    assert "+11.0 %" in row
    assert "3 and 3" in row
