"""Session-based recommendation on YooChoose 1/64 by the session papers' protocol: every prefix of every test session,
all items, seen ones not masked, HR@20 (their P@20) and MRR@20.

    python benchmarks/sessions.py SOURCE [--kind sasrec] [--work FOLDER] [--result FILE] [--KIND.KEY VALUE …]

Several kinds, as sasrec+sequential_rules, are tested together.
The source has train and test sessions alone; preparation holds the last of the training sessions out for validation.
They tell how many epochs are best and how much each of several models counts. What is tested has then been trained on
them too, for so many epochs.
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
from slmrec.training.ensemble_weights import ensemble_weights
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
    kinds = {kind: getattr(recipe, kind) for kind in arguments.kind.split("+")}
    found_by = {kind: made(data, options, arguments.work) for kind, options in kinds.items()}
    weights = ensemble_weights([model for model, _ in found_by.values()], data)
    told, finals = {}, []
    for (kind, options), weight, (_, training) in zip(kinds.items(), weights, found_by.values(), strict=True):
        model, _ = made(everything(data), for_best_epochs(options, training), arguments.work)
        finals.append(model)
        told[kind] = {"options": asdict(options), "weight": weight} | validated(training)
    model = finals[0] if len(finals) == 1 else Ensemble.of(finals, weights)
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


def made(data: Dataset, options: ClassicOptions | NeighboursOptions, work: Path) -> tuple[Recommender, dict[str, Any]]:
    """A model, and how its training went."""
    folder = trained.folder(work, f"{data.name}-{type(options).__name__}", options)
    model = load(folder) if trained.is_made(folder) else train(data, options, folder, None, trained.tell)
    return model, json.loads((folder / "training.json").read_text())


def for_best_epochs(
    options: ClassicOptions | NeighboursOptions, training: dict[str, Any]
) -> ClassicOptions | NeighboursOptions:
    """Options with the epochs that were best on validation; of what trains nothing, the same."""
    if isinstance(options, NeighboursOptions):
        return options
    epochs = round(training["best_epoch"])
    return replace(options, training=replace(options.training, epochs=epochs, patience=0))


def validated(training: dict[str, Any]) -> dict[str, Any]:
    """What validation said after each epoch, and what the training took."""
    values = [row["valid_NDCG@10"] for row in training["log"] if "valid_NDCG@10" in row]
    return {"valid_NDCG@10": values, "seconds": training["seconds"]}


def everything(data: Dataset) -> Dataset:
    """The data with its validation sessions among those that are trained on."""
    split = np.where(data.split == SPLITS["valid"], SPLITS["train"], data.split).astype(data.split.dtype)
    return replace(data, name=f"{data.name}, all training sessions", split=split)


def mrr_at_20(ranks: np.ndarray) -> float:
    """Mean reciprocal rank, 0 below the twentieth place; ranks count from 0."""
    return float(np.where(ranks < 20, 1 / (ranks + 1), 0).mean())


if __name__ == "__main__":
    main()
