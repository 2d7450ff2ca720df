"""Exported bundles beside torch: time of a request, size, parity on every test user.

    python benchmarks/export.py --data DIR --sasrec MODEL --combined MODEL --llm MODEL [--result FILE]

COMBINED is that SASRec with neighbours beside it, by `slmrec combine`. Each model is exported for onnxruntime and
OpenVINO in fp32 and int8. Requests (ten events in, ten items out, ranking of the whole catalogue in them) are timed in
one process on one thread, torch and the bundles taking turns. Parity on every test user is measured of the onnx
bundles, on random histories of the others. Nothing else should run meanwhile.
"""

import argparse
import json
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slmrec.data import Dataset
from slmrec.export import export_bundle
from slmrec.files import write_json
from slmrec.models import load
from slmrec.provenance import provenance
from slmrec.runtime import Bundle

RESULT = Path(__file__).parent / "results" / "export.json"
WAYS = (("onnx", "fp32"), ("onnx", "int8"), ("openvino", "fp32"), ("openvino", "int8"))
SHAPES = {"one request of 10 events": (1, 10, 150), "a batch of 32 of 10 events": (32, 10, 25)}
"""Histories, events of each, rounds."""
WARM_UP = 5
CALLED = {"sasrec": "SASRec", "combined": "the combined one", "llm": "the LLM"}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sasrec", type=Path, required=True)
    parser.add_argument("--combined", type=Path, required=True)
    parser.add_argument("--llm", type=Path, required=True)
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    data = Dataset.load(arguments.data)
    started = time.perf_counter()
    found = {name: measure(getattr(arguments, name), data) for name in CALLED}
    versions = {name: metadata.version(name) for name in ("onnxruntime", "openvino", "onnx", "numpy")}
    took = round(time.perf_counter() - started, 1)
    result = {"data": data.name, "items": data.num_items, "models": found, "versions": versions, "took": took}
    result |= {"provenance": provenance()}
    write_json(arguments.result, result)
    print("\n".join(table(result)))


def measure(folder: Path, data: Dataset) -> dict[str, Any]:
    """Bundles of one model, and their times beside its own."""
    model = load(folder)
    runners: dict[str, Any] = {"torch fp32": model}
    bundles = {}
    with tempfile.TemporaryDirectory() as scratch:
        for to, precision in WAYS:
            name = f"{to} {precision}"
            out = Path(scratch) / name.replace(" ", "-")
            manifest = export_bundle(folder, out, to, precision, data if to == "onnx" else None)
            size = sum(file["bytes"] for file in manifest["files"].values())
            graph = sum(file["bytes"] for path, file in manifest["files"].items() if path.startswith("encoder."))
            bundles[name] = {"bytes": size, "graph_bytes": graph, "parity": manifest["parity"]}
            runners[name] = Bundle.load(out, threads=1)
        times = {shape: side_by_side(runners, data.num_items, *sizes) for shape, sizes in SHAPES.items()}
    return {
        "kind": model.kind,
        "layers": manifest["layers"],
        "parameters": manifest["parameters"],
        "bundles": bundles,
        "times": times,
    }


def side_by_side(runners: dict[str, Any], items: int, rows: int, events: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of `top_k` of ten, each runner once a round."""
    generator = np.random.default_rng(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(WARM_UP + rounds):
        histories = list(generator.integers(1, items + 1, size=(rows, events)).astype(np.int32))
        for name, runner in runners.items():
            started = time.perf_counter()
            runner.top_k(histories, 10)
            times[name].append(1000 * (time.perf_counter() - started))
    torch.set_num_threads(threads)
    own = {name: np.array(taken[WARM_UP:]) for name, taken in times.items()}
    base = own["torch fp32"]
    return {
        name: {
            "median_ms": round(float(np.median(taken)), 3),
            "p95_ms": round(float(np.percentile(taken, 95)), 3),
            "times_as_fast_as_torch": round(float(np.median(base / taken)), 2),
        }
        for name, taken in own.items()
    }


def table(result: dict[str, Any]) -> list[str]:
    """Markdown of a result."""
    one, batch = SHAPES
    names = {"onnx": "onnxruntime", "openvino": "OpenVINO", "torch": "torch"}
    lines = []
    for name, model in result["models"].items():
        titles = {"sasrec": "SASRec", "combined": "SASRec with rules, item-kNN and text-kNN beside it"}
        title = titles.get(name, f"LLM recommender of {model['layers']} layers")
        lines += [
            f"{title}, {model['parameters']:,} parameters:",
            "",
            "| run by | precision | bundle | one request, ms (p95) | against torch | 32 requests, ms | against torch | "
            "same lists but for ties | overlap@10 | NDCG@10 |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for way, single in model["times"][one].items():
            by, precision = way.split()
            many, bundle = model["times"][batch][way], model["bundles"].get(way)
            cells = [names[by], precision]
            cells.append("–" if bundle is None else f"{bundle['bytes'] / 1e6:.1f} MB")
            cells += [f"{single['median_ms']:.2f} ({single['p95_ms']:.2f})", f"{single['times_as_fast_as_torch']:.2f}×"]
            cells += [f"{many['median_ms']:.1f}", f"{many['times_as_fast_as_torch']:.2f}×"]
            cells += ["–", "–", "–"] if bundle is None else parity_cells(bundle["parity"])
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    machine, versions = result["provenance"]["machine"], result["versions"]
    said = []
    for name, model in result["models"].items():
        by, precision = min(model["times"][one], key=lambda way: model["times"][one][way]["median_ms"]).split()
        said.append(f"{names[by]} in {precision} for {CALLED[name]}")
    lines += [
        f"The fastest for a single request: {', '.join(said)}. {result['data']}, {result['items']:,} items, one thread "
        f"of {machine['cpu']}, all in turns in one process; onnxruntime {versions['onnxruntime']}, OpenVINO "
        f"{versions['openvino']}, torch {machine['torch']}, {result['provenance']['finished'][:10]}. Parity of "
        "onnxruntime's bundles is of every test user, OpenVINO's of random histories.",
    ]
    return lines


def parity_cells(parity: dict[str, Any]) -> list[str]:
    """The table's last columns."""
    change = parity.get("change_of_NDCG@10")
    quality = "–" if change is None else f"{parity['bundle_NDCG@10']:.4f} ({change:+.4f})"
    lists = f"{parity['same_except_ties']:,} of {parity['histories']:,}"
    return [lists, f"{parity['overlap@10']:.2%}", quality]


def block() -> list[str]:
    """What docs/tasks/export.md says of the measurement."""
    if not RESULT.exists():
        return ["Not measured yet: `python benchmarks/export.py --help`."]
    return table(json.loads(RESULT.read_text()))


if __name__ == "__main__":
    main()
