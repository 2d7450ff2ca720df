"""Classic models tuned alike: as many Optuna trials for each kind, judged on one validation split.

    python benchmarks/baselines.py --data DIR [--trials N] [--kind KIND]… [--work FOLDER]

Items by their ids. Writes results/tuned/DATA.json, with the best model of each kind on the test split, and as a recipe
for `slmrec train` and `slmrec study models` their options: results/tuned/DATA.toml. Cut off, it goes on; with a larger
--trials it goes further.
"""

import argparse
from pathlib import Path
from typing import Any

from slmrec.cli.progress import watching
from slmrec.data import Dataset
from slmrec.evaluation import Evaluation, compare, evaluate
from slmrec.files import read_json, write_json, write_text
from slmrec.models import load
from slmrec.provenance import provenance
from slmrec.recipe import load_recipe
from slmrec.tuning import METRIC, SPACES, tune

KINDS = [kind for kind in SPACES if kind != "teacher"]
BAR = "sasrec"
RESULTS = Path(__file__).parent / "results" / "tuned"


def main() -> None:
    """Search kind by kind, then test what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this one; repeatable")
    parser.add_argument("--work", type=Path, default=Path("runs/baselines"))
    arguments = parser.parse_args()
    data = Dataset.load(arguments.data)
    recipe = load_recipe()
    kinds = [kind for kind in KINDS if kind in (arguments.kind or KINDS) or kind == BAR]
    folders = {kind: arguments.work / data.name / kind for kind in kinds}
    for folder in folders.values():
        done = len(read_json(folder / "trials.json", "search")) if (folder / "trials.json").exists() else 0
        if done > arguments.trials:
            parser.error(f"{folder} already holds {done} trials; with --trials {done} all kinds have as many")
    with watching() as progress:
        for kind, folder in folders.items():
            progress.say(f"{kind}, {arguments.trials} trials")
            tune(data, kind, getattr(recipe, kind), folder, trials=arguments.trials, monitor=progress)
    tested = {kind: evaluate(load(folder / "model"), data, "test") for kind, folder in folders.items()}
    found = {kind: search(folder) | quality(tested[kind], tested[BAR]) for kind, folder in folders.items()}
    left_out = [kind for kind in KINDS if kind not in kinds]
    told = {"dataset": data.name, "trials": arguments.trials, "left_out": left_out, "kinds": found}
    told["provenance"] = provenance()
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / f"{data.name}.json", told)
    best = [(folder / "best.toml").read_text() for folder in folders.values()]
    write_text(RESULTS / f"{data.name}.toml", "\n".join(best))


def search(folder: Path) -> dict[str, Any]:
    """What one kind's search came to: its trials in the order they were made, the recipe's own options first."""
    trials = read_json(folder / "trials.json", "search")
    values = [trial[f"valid_{METRIC}"] for trial in sorted(trials, key=lambda trial: trial["number"])]
    return {f"valid_{METRIC}": values, "best": trials[0]["values"]}


def quality(found: Evaluation, bar: Evaluation) -> dict[str, Any]:
    """The best model on the test split, alone and against the tuned SASRec."""
    against = compare(found, bar, METRIC)
    return {"test": found.metrics, "against": {key: getattr(against, key) for key in ("difference", "low", "high")}}


if __name__ == "__main__":
    main()
