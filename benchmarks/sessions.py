"""Session-based recommendation on YooChoose 1/64 by the session papers' protocol: every prefix of every test session,
all items, seen ones not masked, HR@20 (their P@20) and MRR@20.

    python benchmarks/sessions.py SOURCE [--kind sasrec] [--work FOLDER] [--result FILE] [--KIND.KEY VALUE …]

Several kinds, as sasrec+sequential_rules, are tested together, all alike.
The source has train and test sessions alone; preparation holds the last of the training sessions out for validation.
They tell how many epochs are best, and the model that is tested is then trained on them too, for so many. What trains
nothing counts them all at once.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

import trained
from slmrec.data import Dataset, prepare_source
from slmrec.data.split import SPLITS
from slmrec.evaluation import evaluate
from slmrec.files import write_json
from slmrec.models import Ensemble, Recommender, load
from slmrec.provenance import provenance
from slmrec.recipe import load_recipe
from slmrec.training.options import ClassicOptions, NeighboursOptions
from slmrec.training.train import train

PUBLISHED = {
    "Item-KNN": {"HR@20": 0.5160, "MRR@20": 0.2181},
    "GRU4Rec": {"HR@20": 0.6064, "MRR@20": 0.2289},
    "NARM": {"HR@20": 0.6832, "MRR@20": 0.2863},
    "STAMP": {"HR@20": 0.6874, "MRR@20": 0.2967},
    "SR-GNN": {"HR@20": 0.7057, "MRR@20": 0.3094},
    "SGNN-HN": {"MRR@20": 0.3261},
}
"""As SR-GNN's paper prints them; the last is the best MRR@20 that we know of, by its own."""
RESULT = Path(__file__).parent / "results" / "sessions.json"


def main() -> None:
    """Hold out, train, test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--kind", default="sasrec")
    parser.add_argument("--work", type=Path, default=Path("runs/sessions"))
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments, rest = parser.parse_known_args()
    keys = [key.removeprefix("--").replace("-", "_") for key in rest[::2]]
    recipe = load_recipe("default", dict(zip(keys, rest[1::2], strict=True)))
    data = prepare_source(arguments.source, preparation=replace(recipe.preparation, min_length=2))
    models, told = [], {}
    for kind in arguments.kind.split("+"):
        model, told[kind] = final(data, getattr(recipe, kind), arguments.work)
        models.append(model)
    model = models[0] if len(models) == 1 else Ensemble.of(models)
    evaluation = evaluate(model, data, "test", seen="kept")
    found = json.loads(arguments.result.read_text()) if arguments.result.exists() else {"published": PUBLISHED}
    found[arguments.kind] = {
        "cases": len(evaluation.ranks),
        "HR@20": evaluation.metrics["HR@20"],
        "MRR@20": mrr_at_20(evaluation.ranks),
        "models": told,
        "provenance": provenance(),
    }
    write_json(arguments.result, found)
    print(arguments.kind, {key: found[arguments.kind][key] for key in ("cases", "HR@20", "MRR@20")})


def final(data: Dataset, options: ClassicOptions | NeighboursOptions, work: Path) -> tuple[Recommender, dict[str, Any]]:
    """A model of all training sessions, and how it came to be."""
    told: dict[str, Any] = {"options": asdict(options)}
    kind = type(options).__name__
    final = trained.folder(work, f"{kind}-final", options)
    if not isinstance(options, NeighboursOptions):
        options, found = searched(data, options, trained.folder(work, f"{kind}-searched", options))
        told |= found
    made = trained.is_made(final)
    return load(final) if made else train(everything(data), options, final, None, trained.tell), told


def searched(data: Dataset, options: ClassicOptions, folder: Path) -> tuple[ClassicOptions, dict[str, Any]]:
    """Options with the epochs that are best on validation, and how they were found."""
    if not trained.is_made(folder):
        train(data, options, folder, progress=trained.tell)
    training = json.loads((folder / "training.json").read_text())
    epochs = round(training["best_epoch"])
    told = {"valid_NDCG@10": [row["valid_NDCG@10"] for row in training["log"] if "valid_NDCG@10" in row]}
    print(f"\nbest after {epochs} epochs")
    fixed = replace(options, training=replace(options.training, epochs=epochs, patience=0))
    return fixed, told | {"seconds": training["seconds"]}


def everything(data: Dataset) -> Dataset:
    """The data with its validation sessions among those that are trained on."""
    split = np.where(data.split == SPLITS["valid"], SPLITS["train"], data.split).astype(data.split.dtype)
    return replace(data, name=f"{data.name}, all training sessions", split=split)


def mrr_at_20(ranks: np.ndarray) -> float:
    """Mean reciprocal rank, 0 below the twentieth place; ranks count from 0."""
    return float(np.where(ranks < 20, 1 / (ranks + 1), 0).mean())


if __name__ == "__main__":
    main()
