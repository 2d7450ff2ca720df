"""SASRec of the default recipe on published splits, several seeds, full ranking, seen items masked.

    python benchmarks/sasrec.py SOURCE … [--seeds 3] [--work FOLDER] [--result FILE] [--sasrec.KEY VALUE …]

SOURCE: a folder with the S3-Rec sequences.txt (and items.tsv), as amazon14-beauty. A seed whose result stands in
the result file is not run again; one that was cut off goes on from its checkpoint in the work folder, and one that was
trained with the same options is only tested.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean, stdev

import trained
from slmrec.data import prepare_source
from slmrec.evaluation import evaluate
from slmrec.files import write_json
from slmrec.models import load
from slmrec.provenance import provenance
from slmrec.recipe import load_recipe
from slmrec.training.train import train_classic

PUBLISHED = {"amazon14-beauty": 0.0531, "amazon14-sports": 0.0314, "ml-1m": 0.1684}
"""NDCG@10 of SASRec with sampled softmax on these splits, seen items masked (eSASRec benchmark)."""
RESULT = Path(__file__).parent / "results" / "sasrec.json"


def main() -> None:
    """Train and test what is missing from the result file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("runs/sasrec"))
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments, rest = parser.parse_known_args()
    keys = [key.removeprefix("--").replace("-", "_") for key in rest[::2]]
    recipe = load_recipe("default", dict(zip(keys, rest[1::2], strict=True)))
    found = json.loads(arguments.result.read_text()) if arguments.result.exists() else {}
    for source in arguments.sources:
        data = prepare_source(source, preparation=recipe.preparation)
        entry = found.setdefault(data.name, {"published_NDCG@10": PUBLISHED.get(data.name), "seeds": {}})
        for seed in range(arguments.seeds):
            if str(seed) in entry["seeds"]:
                continue
            options = replace(recipe.sasrec, training=replace(recipe.sasrec.training, seed=seed))
            folder = trained.folder(arguments.work, data.name, options)
            model = load(folder) if trained.is_made(folder) else train_classic(data, options, folder, trained.tell)
            training = json.loads((folder / "training.json").read_text())
            entry["seeds"][str(seed)] = {
                "test": evaluate(model, data).metrics,
                "valid_NDCG@10": max(row.get("valid_NDCG@10", 0.0) for row in training["log"]),
                "epochs": round(training["log"][-1]["epoch"]),
                "seconds": round(training["seconds"], 1),
                "options": asdict(options),
                "provenance": provenance(),
            }
            values = [run["test"]["NDCG@10"] for run in entry["seeds"].values()]
            entry["NDCG@10"] = {"mean": mean(values), "sd": stdev(values) if len(values) > 1 else None}
            write_json(arguments.result, found)
            print(data.name, seed, entry["seeds"][str(seed)]["test"], entry["NDCG@10"])


if __name__ == "__main__":
    main()
