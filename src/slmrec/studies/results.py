"""A study's results as one small JSON: every seed, means and spread, strata, and what is certain."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import mean, stdev
from typing import Any

import numpy as np
import polars as pl

from slmrec.data import Dataset
from slmrec.evaluation import METRICS, compare_over_seeds, strata
from slmrec.provenance import provenance
from slmrec.studies.plan import Study

COLD = 5
"""Training interactions up to which an item counts as cold."""


def summary(
    study: Study,
    data_sets: Sequence[Dataset],
    measured: Mapping[str, Sequence[Mapping[str, Any]]],
    ranks: Mapping[str, pl.DataFrame],
    command: str,
) -> dict[str, Any]:
    """STUDY.json.

    Args:
        study: what was asked.
        data_sets: of which data.
        measured: for each data set's name, what was written of each model and seed.
        ranks: for each data set's name, the ranks of all of them with columns `model` and `seed`.
        command: what was typed.
    """
    found = {}
    for data in data_sets:
        if data.name not in measured:
            continue
        models = {}
        for name in dict.fromkeys(entry["model"] for entry in measured[data.name]):
            seeds = [entry for entry in measured[data.name] if entry["model"] == name]
            models[name] = _model(seeds)
            if study.inside and "layer_roles" in seeds[0]:
                models[name]["layer_roles"] = _roles([entry["layer_roles"] for entry in seeds])
            for by in ("target_count", "history_length"):
                levels = strata(ranks[data.name].filter(model=name), by)
                models[name][by] = {
                    row["stratum"]: {"cases": row["cases"], "NDCG@10": round(row["NDCG@10"], 5)}
                    for row in levels.iter_rows(named=True)
                }
        pairs = [pair for pair in study.pairs if set(pair) <= models.keys()]
        kin = {pair for pair in pairs if study.made_from(pair[0]) & study.made_from(pair[1])}
        # A study that was cut off may have different seeds of two models.
        pairs = [(a, b) for a, b in pairs if (a, b) not in kin or models[a]["seeds"].keys() & models[b]["seeds"].keys()]
        found[data.name] = {
            "users": data.num_users,
            "items": data.num_items,
            "interactions": data.num_interactions,
            "fingerprint": data.fingerprint,
            "models": models,
            "comparisons": _comparisons(ranks[data.name], pairs, kin),
            "comparisons_cold": _comparisons(ranks[data.name].filter(pl.col("target_count") <= COLD), pairs, kin),
        }
    trials = [{**asdict(trial), "kind": trial.kind} for trial in study.trials]
    return {
        "study": study.name,
        "question": study.question,
        "command": command,
        "axis": study.axis,
        "axis_title": study.axis_title,
        "inside": study.inside,
        "data": found,
        "trials": trials,
        "looks": [asdict(look) for look in study.looks],
        "written": provenance(),
    }


def _model(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "kind": seeds[0]["kind"],
        "layers": seeds[0]["layers"],
        "parameters": seeds[0]["parameters"],
        "weight_bytes": seeds[0].get("weight_bytes"),
        "cases": seeds[0]["cases"],
        "cold_targets": seeds[0]["cold_targets"],
        "commits": sorted({entry["commit"] for entry in seeds if entry.get("commit")}),
        "machines": sorted({entry["machine"] for entry in seeds if "machine" in entry}),
        "seeds": {},
    }
    for entry in seeds:
        seed: dict[str, Any] = {metric: round(entry["metrics"][metric], 5) for metric in METRICS}
        if entry["latency"]:
            seed["request_ms"] = round(entry["latency"]["p50"], 3)
        seed["test_seconds"] = round(entry["seconds"], 1)
        if "training" in entry:
            training = entry["training"]
            best = max((row["valid_NDCG@10"] for row in training["log"] if "valid_NDCG@10" in row), default=None)
            seed["valid_NDCG@10"] = None if best is None else round(best, 5)
            seed["best_epoch"] = training["best_epoch"]
            seed["training_seconds"] = round(training["seconds"], 1)
        if "weights" in entry:
            seed["weights"] = {name: round(weight, 4) for name, weight in entry["weights"].items()}
        if entry.get("kept_layers"):
            seed["kept_layers"] = entry["kept_layers"]
        told["seeds"][str(entry["model_seed"])] = seed
    shown = [*METRICS, *(["request_ms"] if all(entry["latency"] for entry in seeds) else [])]
    values = {name: [seed[name] for seed in told["seeds"].values()] for name in shown}
    told["mean"] = {name: round(mean(each), 5) for name, each in values.items()}
    told["sd"] = {name: round(stdev(each), 5) for name, each in values.items()} if len(seeds) > 1 else None
    return told


def _roles(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`LayerRoles`, each number its mean over seeds."""
    return {name: np.mean([seed[name] for seed in seeds], axis=0).round(4).tolist() for name in seeds[0]}


def _comparisons(
    ranks: pl.DataFrame, pairs: Sequence[tuple[str, str]], kin: set[tuple[str, str]]
) -> list[dict[str, Any]]:
    found = []
    for comparison in compare_over_seeds(ranks, pairs, paired=kin) if pairs and len(ranks) else []:
        told = asdict(comparison)
        found.append({key: round(value, 6) if isinstance(value, float) else value for key, value in told.items()})
    return found
