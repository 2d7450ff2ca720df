"""A made-up RUN folder, as the main job leaves it: what the report's tests (and its makers' eyes) read.

Ranks are drawn at random and the metrics are computed from them here, with NumPy and nothing of slmrec.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from slmrec.recipe import Recipe, as_dict
from slmrec.training.options import LLMOptions

MODELS = {  # name: kind, scale of the drawn ranks, parameters (total, without vocabulary, trained), seconds
    "popularity": ("popularity", 330, (0, 0, 0), 0.21),
    "sasrec": ("sasrec", 92, (183_488, 183_488, 183_488), 0.94),
    "teacher": ("slmrec", 100, (57_230_912, 28_919_360, 1_943_040), 21.4),
    "student_ce": ("slmrec", 112, (42_903_232, 14_591_680, 1_075_968), 11.3),
    "student": ("slmrec", 104, (42_903_232, 14_591_680, 1_075_968), 11.2),
    "item_knn": ("item-knn", 96, (269_800, 269_800, 269_800), 0.55),
}
SOMETIMES = {  # those that a run has beside them where its recipe asks for them
    "sequential_rules": ("sequential-rules", 98, (269_800, 269_800, 269_800), 0.5),
    "text_knn": ("text-knn", 140, (269_800, 269_800, 269_800), 0.5),
    "sasrec_taught": ("sasrec", 84, (183_488, 183_488, 183_488), 0.95),
    "sasrec_combined": ("ensemble", 88, (723_088, 723_088, 183_488), 1.9),
    "student_combined": ("ensemble", 90, (43_442_832, 15_131_280, 1_075_968), 12.1),
}
NUM_ITEMS = 1349
FILMS = (
    "The Lighthouse Keeper's Daughter (1994)",
    "Brief Weather (1987)",
    "Señor Invierno (1996)",
    "七つの橋 (1954)",
    "Nobody Waves from the Ferry (1995)",
    "Cold Harbour II: The Reckoning of Captain Elias Thorne and the Drowned Cathedral (1993)",
    "Love & Other Tariffs (1996)",
    'The "Honest" Liar (1991)',
    "Marmalade (1989)",
    "Half Past Yesterday (1997)",
    "Signal to Noise (1995)",
    "A Map of Small Rooms (1992)",
    "Quiet Thunder (1986)",
    "The Accordionist (1978)",
    "Tin Orchard (1996)",
    "Paper Tigers, Paper Moons (1994)",
)

HOSTILE = [
    "<script>alert(1)</script>",
    "</td></table><img src=https://example.org/x.png>",
    "\" onmouseover='alert(1)' & {{ 7 * 7 }} {% raw %}",
    "-->]]></style></svg>",
    "\u202eevil\u0007 ☃ 雪",
    "",
    "x" * 3000,
]


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Return ``build_run`` bound to a fresh folder."""
    return lambda **options: build_run(tmp_path / "run", **options)


@pytest.fixture(scope="session")
def usual_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full run, to be read only."""
    return build_run(tmp_path_factory.mktemp("usual") / "run", users=943)


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full run whose items are called `HOSTILE`, to be read only."""
    return build_run(tmp_path_factory.mktemp("hostile") / "run", titles=HOSTILE)


@pytest.fixture(scope="session")
def hostile() -> list[str]:
    return HOSTILE


def metrics_of(ranks: np.ndarray) -> dict[str, float]:
    """HR, NDCG and MRR of 0-based ranks, from their definitions."""
    hits = {f"HR@{k}": float((ranks < k).mean()) for k in (1, 5, 10, 20)}
    gains = {f"NDCG@{k}": float(((ranks < k) / np.log2(ranks + 2)).mean()) for k in (5, 10, 20)}
    return hits | gains | {"MRR": float((1 / (ranks + 1)).mean())}


def build_run(
    run: Path,
    *,
    models: Sequence[str] = tuple(MODELS),
    without: Sequence[str] = (),
    titles: Sequence[str] = FILMS,
    scales: dict[str, float] | None = None,
    users: int = 120,
    log_rows: int = 1,
) -> Path:
    """Write a RUN folder.

    ``without`` names files to leave out, ``scales`` overrides how deep a model's ranks lie (smaller is
    better), ``log_rows`` is how many rows of training loss stand in the log an epoch.
    """
    run.mkdir(parents=True)
    rng = np.random.default_rng(7)
    history_length = np.minimum(rng.geometric(0.012, users) + 5, 700)
    target_count = np.minimum(rng.geometric(0.011, users) - 1, 480)
    difficulty = rng.gamma(0.55, 1.0, users) * (1.9 - 1.2 * target_count / (target_count + 40))
    frames, metrics = [], []
    for name in models:
        kind, scale, parameters, seconds = (MODELS | SOMETIMES)[name]
        scale = (scales or {}).get(name, scale)
        depth = difficulty * rng.lognormal(0, 0.55, users) * scale
        if name == "popularity":
            depth = depth * 60 / (target_count + 12)
        ranks = np.floor(np.minimum(depth, NUM_ITEMS - 1))
        ranks[:3] = np.inf  # seen targets, which are out of a masked list
        frames.append(
            pl.DataFrame(
                {
                    "model": [name] * users,
                    "user": np.arange(users, dtype=np.int32),
                    "position": np.cumsum(history_length + 1).astype(np.int64) - 1,
                    "target": rng.integers(1, NUM_ITEMS + 1, users).astype(np.int32),
                    "history_length": history_length.astype(np.int32),
                    "target_count": target_count.astype(np.int64),
                    "rank": ranks,
                }
            )
        )
        metrics.append(
            {
                "model": name,
                "kind": kind,
                "data": "ml-100k",
                "split": "test",
                "protocol": "full",
                "seen": "masked",
                "users": users,
                "cases": users,
                "seed": 0,
                "cold_targets": 12,
                "metrics": metrics_of(ranks),
                "parameters": dict(zip(("total", "without_vocabulary", "trained"), parameters, strict=True)),
                "seconds": seconds,
            }
        )
        (run / name).mkdir()
        log = _training_log(name, rng, log_rows)
        scored = [row for row in log if "valid_NDCG@10" in row]
        training = {
            "seconds": {
                "sasrec": 61.5,
                "teacher": 296.0,
                "student_ce": 133.2,
                "student": 171.8,
                "sasrec_taught": 58.0,
            }.get(name, 0.0),
            "steps": 8 * len(scored),
            "best_epoch": max(scored, key=lambda row: row["valid_NDCG@10"])["epoch"] if scored else 0,
            "log": log,
            "options": {},
        }
        _dump(run / name / "training.json", training)
    _dump(run / "metrics.json", metrics)
    pl.concat(frames).write_parquet(run / "ranks.parquet")
    _dump(run / "run.json", RUN)
    _dump(run / "examples.json", _examples(models, titles, rng))
    (run / "data").mkdir()
    _dump(run / "data" / "dataset.json", DATASET)
    for name in without:
        (run / name).unlink()
    return run


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _training_log(name: str, rng: np.random.Generator, log_rows: int) -> list[dict[str, Any]]:
    epochs, start, end, best = {
        "sasrec": (30, 7.2, 5.9, 0.078),
        "teacher": (6, 6.9, 5.85, 0.075),
        "student_ce": (6, 7.0, 6.05, 0.069),
        "student": (6, 31.0, 18.4, 0.073),
        "sasrec_taught": (20, 7.0, 5.8, 0.082),
    }.get(name, (0, 0, 0, 0))
    log: list[dict[str, Any]] = []
    for epoch in range(1, epochs + 1):
        for step in range(log_rows):
            now = epoch - 1 + (step + 1) / log_rows
            decay = float(np.exp(-3 * now / epochs) + rng.normal(0, 0.004))
            row: dict[str, Any] = {"epoch": now, "step": int(now * 8), "loss": end + (start - end) * decay}
            if name == "student":
                row |= {"cross_entropy": 6.0 + decay, "cosine": 0.08 + 0.6 * decay}
                row |= {"norm": 14 + 40 * decay, "multi_supervision": 6.2 + 0.9 * decay}
            log.append(row)
        log[-1]["valid_NDCG@10"] = best * (1 - float(np.exp(-4 * epoch / epochs))) + float(rng.normal(0, 0.0008))
    return log


def _examples(models: Sequence[str], titles: Sequence[str], rng: np.random.Generator) -> list[dict[str, Any]]:
    def draw(count: int) -> list[str]:
        return [titles[i % len(titles)] for i in rng.permutation(max(count, len(titles)))[:count]]

    examples = []
    for user in range(10):
        *history, target = draw(min(11, len(titles)))
        lists = {}
        for name in models:
            shown, hit = [title for title in draw(11) if title != target][:10], int(rng.integers(0, 20))
            if hit < len(shown):
                shown[hit] = target
            lists[name] = [
                {"title": title, "score": 9.1 - 0.4 * place, "hit": title == target}
                for place, title in enumerate(shown)
            ]
        examples.append({"user_id": f"{user * 37 + 5:04d}", "history": history, "target": target, "models": lists})
    return examples


RUN = {
    "source": "ml-100k",
    "format": None,
    "columns": {},
    "recipe_name": "default",
    "recipe": as_dict(Recipe(teacher=LLMOptions(lora_rank=16))),
    "stages": [
        {"name": name, "title": title, "seconds": seconds, "started": "2026-03-02T10:14:07+00:00"}
        for name, title, seconds in (
            ("data", "preparing ml-100k", 1.4),
            ("sasrec", "SASRec, the classic model, and popularity", 61.5),
            ("teacher", "teacher: 8 layers of smollm2-135m", 296.0),
            ("student_ce", "student: 4 layers, by cross-entropy alone", 133.2),
            ("student", "student: 4 layers, distilled from the teacher", 171.8),
            ("metrics.json", "evaluating all models on the test split", 46.0),
        )
    ],
    "machine": {
        "cpu": "Example CPU @ 2.60GHz",
        "cores": 2,
        "memory_gb": 7.8,
        "accelerator": None,
        "python": "3.11.9",
        "torch": "2.13.0",
        "transformers": "5.23.0",
        "slmrec": "0.1.0",
    },
    "dataset": {"name": "ml-100k", "users": 943, "items": 1349, "interactions": 99287},
}
DATASET = {
    "format": "slmrec-dataset",
    "version": 1,
    "name": "ml-100k",
    "fingerprint": "4c1f" * 16,
    "meta": {
        "source": "ml-100k",
        "format": "recbole",
        "timestamp_unit": "s",
        "preparation": {"item_core": 5, "user_core": 5, "split": "leave-one-out"},
        "steps": [
            {
                "step": "read",
                "users": 943,
                "items": 1682,
                "interactions": 100000,
                "dropped": {"users": 0, "items": 0, "interactions": 0},
                "note": "",
            },
            {
                "step": "core",
                "users": 943,
                "items": 1349,
                "interactions": 99287,
                "dropped": {"users": 0, "items": 333, "interactions": 713},
                "note": "items and users with at least 5, in 2 rounds",
            },
        ],
        "counts": {"users": 943, "items": 1349, "interactions": 99287},
    },
}
