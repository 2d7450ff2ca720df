"""docs/results.md, docs/performance.md and the blocks of README.md and docs/tasks, from benchmarks/results.

    python benchmarks/tables.py [--check]

--check writes nothing and fails where a text is not what the JSON gives.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import claims
import export
import findings
import performance
import serving
import web
from sentences import sentences
from slmrec.studies.page import pages as study_pages

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TITLES = {
    "popularity": "popularity",
    "item_knn": "item-kNN",
    "sequential_rules": "sequential rules",
    "sasrec": "SASRec",
    "text_knn": "text-kNN",
    "sasrec_combined": "SASRec, with neighbours",
    "sasrec_taught": "SASRec, taught by all",
    "teacher": "teacher",
    "student_ce": "student, cross-entropy alone",
    "student": "student, distilled",
    "student_combined": "the same, with neighbours",
}
SENTENCES = {"combine": ("combined",), "distil": ("healed", "taught", "narrow"), "new-items": ("new-items",)}
"""Of pages of docs/tasks, the sentences with numbers in them."""
SHOWN = ("HR@10", "NDCG@10", "MRR")


def run_table(result: dict[str, Any]) -> list[str]:
    """Quality, size and time of a run's models."""
    lines = [
        "| model | layers | " + " | ".join(SHOWN) + " | parameters held | training | test users/s |",
        "|---|---|" + "---|" * (len(SHOWN) + 3),
    ]
    layers = {"teacher": result["recipe"]["teacher"]["layers"]}
    layers |= dict.fromkeys(("student_ce", "student", "student_combined"), result["recipe"]["student"]["layers"])
    for name, model in result["models"].items():
        cells = [TITLES[name], str(layers.get(name, "–"))]
        cells += [f"{model['metrics'][metric]:.4f}" for metric in SHOWN]
        cells += [f"{model['parameters']['without_vocabulary']:,}", f"{model['training_seconds']:,.0f} s"]
        speed = result["dataset"]["users"] / max(model["evaluation_seconds"], 0.01)
        lines.append("| " + " | ".join([*cells, f"{speed:,.0f}"]) + " |")
    machine = result["ran_on"]
    total = sum(stage["seconds"] for stage in result["stages"]) / 60
    lines += [
        "",
        f"{result['dataset']['name']}, {result['dataset']['users']:,} users, test split, full catalogue, seen items "
        f"masked, ties against the model, one seed; all stages together {total:.1f} min on {machine['cores']} cores of "
        f"{machine['cpu']}, torch {machine['torch']}, {result['written']['finished'][:10]}. `{result['command']}`",
    ]
    return lines


def loss_table(result: dict[str, Any]) -> list[str]:
    """First and last of what the distilled student's loss is made of, by states or by scores."""
    parts = ("cross_entropy", "cosine", "norm", "multi_supervision", "score_kl")
    rows = [row for row in result["models"]["student"]["log"] if "cross_entropy" in row]
    lines = ["| part of the distilled student's loss | first | last |", "|---|---|---|"]
    told = [part for part in parts if part in rows[0]]
    return lines + [f"| {part.replace('_', ' ')} | {rows[0][part]:,.4g} | {rows[-1][part]:,.4g} |" for part in told]


def sasrec_table() -> list[str]:
    """Seeds of SASRec by ids, beside what is published."""
    lines = [
        "| data | model | seeds | NDCG@10 mean ± sd | HR@10 mean | published NDCG@10 | seconds a seed |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, entry in claims.published_splits():
        seeds = list(entry["seeds"].values())
        spread = "" if entry["NDCG@10"]["sd"] is None else f" ± {entry['NDCG@10']['sd']:.4f}"
        hits = sum(seed["test"]["HR@10"] for seed in seeds) / len(seeds)
        seconds = sum(seed["seconds"] for seed in seeds) / len(seeds)
        shape, training = seeds[0]["options"], seeds[0]["options"]["training"]
        blocks, heads = shape["num_blocks"], shape["num_heads"]
        model = f"{shape['hidden_size']} wide, {blocks} block{'s' * (blocks > 1)}, {heads} head{'s' * (heads > 1)}, "
        model += f"dropout {shape['dropout']}, "
        if rate := shape.get("item_dropout"):  # results from before there was one do not tell, nor of averages
            model += f"of item vectors {rate}, "
        if epochs := training.get("average_epochs"):
            model += f"weights averaged over {epochs:g} epochs, "
        model += f"{shape['max_length']} items, batch {training['batch_size']}, patience {training['patience']}"
        cells = [name, model, str(len(seeds)), f"{entry['NDCG@10']['mean']:.4f}{spread}", f"{hits:.4f}"]
        lines.append("| " + " | ".join([*cells, f"{entry['published_NDCG@10']}", f"{seconds:,.0f}"]) + " |")
    return lines


def sessions_table(result: dict[str, Any]) -> list[str]:
    """Session-based recommendation, ours among the published, worst first."""
    lines = ["| model | P@20 | MRR@20 | |", "|---|---|---|---|"]
    rows = [(name, told, "published") for name, told in result["published"].items()]
    rows += [(name, told, "ours") for name, told in result.items() if name != "published"]
    for name, told, whose in sorted(rows, key=lambda row: row[1]["MRR@20"]):
        hits = f"{100 * told['HR@20']:.2f}" if "HR@20" in told else "–"
        lines.append(f"| {name.replace('_', '-')} | {hits} | {100 * told['MRR@20']:.2f} | {whose} |")
    return lines


def tuned_table(result: dict[str, Any]) -> list[str]:
    """What as many trials for each kind found, best on the test split first."""
    lines = [
        f"| model | valid: first options | best of {result['trials']} | test NDCG@10 | HR@10 | less SASRec's "
        "| interval | options |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, found in sorted(result["kinds"].items(), key=lambda item: -item[1]["test"]["NDCG@10"]):
        values, test, against = found["valid_NDCG@10"], found["test"], found["against"]
        told = ", ".join(f"{key.removeprefix('training.')} {value:.4g}" for key, value in found["best"].items())
        cells = [kind.replace("_", "-"), f"{values[0]:.4f}", f"{max(filter(None, values)):.4f}"]
        cells += [f"{test['NDCG@10']:.4f}", f"{test['HR@10']:.4f}", f"{against['difference']:+.4f}"]
        cells += [f"{against['low']:+.4f} to {against['high']:+.4f}", told]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def tuned_results() -> list[dict[str, Any]]:
    """Every data set's."""
    return [json.loads(path.read_text()) for path in sorted((RESULTS / "tuned").glob("*.json"))]


def read(name: str) -> dict[str, Any] | None:
    """A result, None while it is not there."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def study_results() -> list[dict[str, Any]]:
    """Every study's; what was measured apart from the rest of its study is called NAME-PART.json, and told apart."""
    paths = sorted(claims.STUDIES.glob("*.json"))
    return [{**json.loads(path.read_text()), "study": path.stem} for path in paths]


def results_page() -> str:
    """docs/results.md."""
    lines = ["# Results", "", "Written by `python benchmarks/tables.py` from `benchmarks/results/*.json`.", ""]
    for name, title in (
        ("run-ml-100k", "The main job on MovieLens-100K, recipe `default`"),
        ("run-ml-100k-paper", "The main job on MovieLens-100K, recipe `paper`"),
        ("run-ml-100k-scores", "The main job on MovieLens-100K, recipe `default`, by scores"),
        ("run-beauty", "The main job on Amazon 2014 Beauty, recipe `default`"),
        ("run-beauty-paper", "The main job on Amazon 2014 Beauty, recipe `paper`"),
        ("run-beauty-taught", "The main job on Amazon 2014 Beauty, recipe `taught`"),
    ):
        if result := read(name):
            lines += [f"## {title}", "", *run_table(result), "", *loss_table(result), ""]
    lines += ["## SASRec on published splits", "", *sasrec_table(), ""]
    lines += ["Full ranking, seen items masked, full softmax. `python benchmarks/sasrec.py SOURCE`.", ""]
    if result := read("sessions"):
        lines += ["## YooChoose 1/64, by the session papers' protocol", "", *sessions_table(result), ""]
        lines += [
            "Every prefix of every test session (55,898), all items, seen ones not masked, in percent; one seed; "
            "published figures as SR-GNN's paper prints them, SGNN-HN's by its own. Several of ours together count as "
            "validation would have it; options and weights are in the JSON. "
            "`python benchmarks/sessions.py SOURCE --kind KIND`.",
            "",
        ]
    for result in tuned_results():
        name = result["dataset"]
        left_out = f" Not searched: {', '.join(result['left_out'])}." if result["left_out"] else ""
        lines += [f"## Classic models tuned alike on {name}", "", *tuned_table(result), ""]
        lines += [
            f"Items by their ids; validation NDCG@10 of the recipe's own options and of the best of {result['trials']} "
            "trials by Optuna, these alike for every kind, early stopping; the best model of each kind on the test "
            "split, one seed, with the 95 % interval over users of its difference from the tuned SASRec. "
            f"`python benchmarks/baselines.py --data {name} --trials {result['trials']}`, which writes "
            f"`benchmarks/results/tuned/{name}.toml`, a recipe of these options.{left_out}",
            "",
        ]
    if result := read("prepare"):
        lines += [
            "## Preparation",
            "",
            f"{result['interactions']:,} interactions from Parquet through filters, 5-core, order, split and ids to "
            f"the data folder: {result['seconds']:.1f} s, peak {result['peak_gib']:.2f} GiB, on "
            f"{result['machine']['cores_used']} cores (load before: {result['machine']['load_before']:.1f}).",
            "",
        ]
    if studies := study_results():
        lines += ["## Studies", ""]
        lines += [f"- [{study['study']}](results/{study['study']}.md): {study['question']}" for study in studies]
        lines += ["- [claims.md](claims.md): the paper's claims beside them", ""]
    return "\n".join(lines)


def filled(text: str, name: str, lines: list[str]) -> str:
    """A text with these lines between its marks of that name."""
    first, last = f"<!-- {name}: benchmarks/tables.py -->", f"<!-- end of {name} -->"
    before, rest = text.split(first)
    return "\n".join([before + first, "", *lines, "", last + rest.split(last)[1]])


def blocks() -> dict[Path, dict[str, list[str]]]:
    """Of texts written by hand, the blocks that the JSON gives."""
    run = read("run-ml-100k")
    assert run is not None
    tables = {"export": export.block(), "serve": serving.block(), "browser": web.block()}
    tables["score"] = performance.scoring_block()
    tasks = {name: {name: lines} for name, lines in tables.items()}
    tasks |= {page: {name: sentences(name) for name in names} for page, names in SENTENCES.items()}
    pages = {ROOT / "docs" / "tasks" / f"{name}.md": parts for name, parts in tasks.items()}
    return pages | {ROOT / "README.md": {"findings": findings.block(), "results": run_table(run)}}


def main() -> None:
    """Write the texts, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    texts = {ROOT / "docs" / "results.md": results_page(), **performance.pages()}
    texts[ROOT / "docs" / "claims.md"] = claims.page()
    texts[ROOT / "docs" / "findings.md"] = findings.page()
    for path, parts in blocks().items():
        texts[path] = path.read_text()
        for name, lines in parts.items():
            texts[path] = filled(texts[path], name, lines)
    for study in study_results():
        for name, text in study_pages(study).items():
            texts[ROOT / "docs" / "results" / name] = text
    for path, text in texts.items():
        if not check:
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(text)
        elif path.read_text() != text:
            sys.exit(f"{path.relative_to(ROOT)} is not what benchmarks/results gives; run python benchmarks/tables.py")


if __name__ == "__main__":
    main()
