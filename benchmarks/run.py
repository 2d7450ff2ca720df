"""The main job on a source, its quality, curves and times as one small JSON file.

    python benchmarks/run.py SOURCE --run RUN --result FILE [--recipe NAME] [--SECTION.KEY VALUE …]

Goes on with RUN if it was cut off, and only writes the result if it is finished.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from slmrec.evaluation import METRICS
from slmrec.files import write_json
from slmrec.provenance import provenance


def main() -> None:
    """Run `slmrec run`, then gather what it left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("--recipe", default="default")
    arguments, overrides = parser.parse_known_args()
    command = [arguments.source, "--out", str(arguments.run), "--recipe", arguments.recipe, *overrides]
    subprocess.run([sys.executable, "-m", "slmrec", "run", *command], check=True)
    told = json.loads((arguments.run / "run.json").read_text())
    models = {}
    for entry in json.loads((arguments.run / "metrics.json").read_text()):
        training = json.loads((arguments.run / entry["model"] / "training.json").read_text())
        models[entry["model"]] = {
            "metrics": {name: round(entry["metrics"][name], 5) for name in METRICS},
            "parameters": entry["parameters"],
            "evaluation_seconds": round(entry["seconds"], 2),
            "training_seconds": round(training["seconds"], 1),
            "best_epoch": training["best_epoch"],
            **{key: training[key] for key in ("weights", "teacher_weights") if key in training},
            "log": [{key: round(value, 5) for key, value in row.items()} for row in training["log"]],
        }
    name = Path(arguments.source).name  # where it lay on this machine is nobody's business
    write_json(
        arguments.result,
        {
            "command": "slmrec run " + " ".join([name, *command[3:]]),
            "dataset": told["dataset"],
            "recipe": told["recipe"],
            "stages": [stage | {"title": stage["title"].replace(arguments.source, name)} for stage in told["stages"]],
            "models": models,
            "ran_on": told["machine"],
            "written": provenance(),
        },
    )


if __name__ == "__main__":
    main()
