"""Trained models on a data set's test split, and pairs of them compared, as one small JSON file.

    python benchmarks/compare.py MODEL … --data DIR --result FILE --made COMMANDS [--pair MODEL BASELINE] …

Models are folders, called by their names; COMMANDS say how those came to be that no other result tells.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from slmrec import Dataset, compare, evaluate, load
from slmrec.evaluation import METRICS
from slmrec.files import write_json
from slmrec.provenance import provenance


def main() -> None:
    """Test each model once, then compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--result", required=True, type=Path)
    parser.add_argument("--made", required=True)
    parser.add_argument("--pair", nargs=2, action="append", default=[])
    arguments = parser.parse_args()
    data = Dataset.load(arguments.data)
    found = {folder.name: evaluate(load(folder), data, name=folder.name) for folder in arguments.models}
    models = {}
    for name, evaluation in found.items():
        told = evaluation.to_json()
        models[name] = {
            "metrics": {metric: round(told["metrics"][metric], 5) for metric in METRICS},
            "parameters": told["parameters"],
            "evaluation_seconds": round(told["seconds"], 2),
        }
    pairs = [asdict(compare(found[model], found[baseline])) for model, baseline in arguments.pair]
    compared = [
        {key: round(value, 5) if isinstance(value, float) else value for key, value in pair.items()} for pair in pairs
    ]
    write_json(
        arguments.result,
        {"made": arguments.made, "models": models, "compared": compared, "written": provenance()},
    )


if __name__ == "__main__":
    main()
