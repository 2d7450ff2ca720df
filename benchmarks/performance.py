"""docs/performance.md and its plots, from benchmarks/results/engine.json; called by tables.py."""

import io
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "engine.json"
FOLDER = ROOT / "docs" / "performance"


def pages() -> dict[Path, str]:
    """Every file and its text; none while there is no result."""
    if not RESULT.exists():
        return {}
    found = json.loads(RESULT.read_text())
    files = {ROOT / "docs" / "performance.md": page(found)}
    if "throughput" in found:
        files[FOLDER / "throughput.svg"] = throughput_plot(found["throughput"])
    if "growth" in found:
        files[FOLDER / "growth.svg"] = growth_plot(found)
    return files


def page(found: dict[str, Any]) -> str:
    """The document."""
    machine = next(iter(found.values()))["provenance"]["machine"]
    lines = [
        "# Performance",
        "",
        "Written by `python benchmarks/tables.py` from `benchmarks/results/engine.json`, which "
        "`python benchmarks/engine.py SOURCE` measures: rivals take turns in one process, medians (least to most), "
        f"SmolLM2-135M, Amazon 2014 Beauty's histories, {machine['cores']} cores of {machine['cpu']} "
        f"({machine['memory_gb']:.0f} GB), torch {machine['torch']}, transformers {machine['transformers']}.",
        "",
        "The published layout is that of the paper's code: 69 constant text tokens and 30 slots a user, empty ones "
        "masked but computed, through transformers' own forward (`benchmarks/published.py`). The engine encodes the "
        "items alone and gives the same vectors (Parity, below, and `tests/engine/`).",
        "",
    ]
    for name, section in SECTIONS.items():
        if name in found:
            lines += [*section(found[name]), ""]
    return "\n".join(lines)


def targets_note(rows: list[tuple[str, str, str]]) -> list[str]:
    """A table of what was aimed at."""
    return ["| | aimed at | measured |", "|---|---|---|", *("| " + " | ".join(row) + " |" for row in rows)]


def throughput(result: dict[str, Any]) -> list[str]:
    """Users a second."""
    tables = {name: table for name, table in result.items() if name.endswith("threads")}
    names = [name for name, entry in next(iter(tables.values())).items() if "median" in entry_of(entry)]
    lines = ["## Encoding users", "", "| users a second | " + " | ".join(tables) + " |", "|---|" + "---|" * len(tables)]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(shown(table[name]) for table in tables.values()) + " |")
    ratios = next(iter(tables.values()))["ratios"]
    share = next(iter(tables.values()))["share of GEMM, engine, 4 layers"]
    lines += [
        "",
        *targets_note(
            [
                ("4 layers here : 30 layers as published", "150", f"{ratios['4 layers here : 30 published']:.0f}"),
                ("30 layers here : 30 layers as published", "11", f"{ratios['30 layers here : 30 published']:.1f}"),
                ("4 layers as published : 30", "–", f"{ratios['4 layers published : 30 published']:.1f}"),
                ("share of the machine's GEMM rate, 4 layers", "0.6", f"{share:.2f}"),
                ("SASRec, 64 wide : 4 layers here", "–", f"{ratios['SASRec : 4 layers here']:.0f}"),
            ]
        ),
        "",
        "What bounds it: at the machine's full GEMM rate the first ratio would be "
        f"{ratios['4 layers here : 30 published'] / share:.0f}. 99 positions x 30 layers against "
        f"{result['mean history']:.1f} x 3.06 (the last layer is nearly free) leave no more, and the published layout "
        "runs at a high rate itself.",
        "",
        f"All on {next(iter(tables))}; a history has {result['mean history']:.1f} items on average. SASRec costs so "
        "little that only quality, text or new items are reasons for a language model.",
        "",
        "![users a second](performance/throughput.svg)",
    ]
    return lines


def training(result: dict[str, Any]) -> list[str]:
    """Time per target."""
    lines = ["## Training", "", "| milliseconds | median (least to most) |", "|---|---|"]
    lines += [
        f"| {name} | {shown({k: 1e3 * v for k, v in value.items()})} |" for name, value in result["seconds"].items()
    ]
    aims = {"one target a user": "40", "every position": "300"}
    rows = []
    for name, value in result["ratios"].items():
        aim = next((aim for key, aim in aims.items() if name == f"{key}, published 30 layers : distilling here"), "–")
        rows.append((name, aim, f"{value:.0f}"))
    return [
        *lines,
        "",
        *targets_note(rows),
        "",
        "As published: 30 layers, LoRA, one target a user, 99 positions. Here: the 4-layer student of the `paper` "
        "recipe (one target) and of the `default` recipe (every position, all weights train), with an 8-layer teacher "
        "whose states are computed once and read in every epoch after; its part is spread over the recipe's "
        f"{result['epochs, one target a user']} and {result['epochs, every position']} epochs, or charged to one.",
        "",
        "| the teacher's states | computing and writing | reading | loss, 16 bits | gradient, 16 bits |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {cache['computing and writing, ms an example']:.2f} ms an example | "
            f"{cache['reading, ms an example']:.3f} ms | {halves['loss, relative']:.1e} | "
            f"{halves['gradient, relative']:.1e} |"
            for name in aims
            for cache, halves in [(result[f"cache, {name}"], result[f"states in 16 bits, {name}"])]
        ),
        "",
        "What bounds the second ratio: a target of every position costs 132 million operations here (student 85, "
        "its teacher's share 28, four cross-entropies over 12,101 items 19), 0.73 ms at the machine's GEMM rate; "
        "batches of 16 histories, about 130 positions, and an optimiser step over 14 million weights after each take "
        "the rest. Larger batches would use the machine better (not measured).",
        "",
        "So states are kept from the second epoch on, where they fit on the disk, and in a single epoch computed in "
        "each step; 16 bits change loss and gradient by the relative amounts of the last two columns.",
    ]


def latency(result: dict[str, Any]) -> list[str]:
    """One request."""
    rows = []
    aims = {"fp32": ("6 / 12", "5"), "int8": ("3 / 6", "2")}
    for name, (request, event) in aims.items():
        one, more = result[name]["one request, ms"], result[name]["one more event, ms"]
        rows.append((f"one request, {name}, p50 / p99 ms", request, f"{one['p50']:.1f} / {one['p99']:.1f}"))
        rows.append(
            (f"one more event of a known user, {name}, p50 / p99 ms", event, f"{more['p50']:.1f} / {more['p99']:.1f}")
        )
    return [
        "## One request on one core",
        "",
        f"{result['events']} events, {result['items']:,} items, ids in to ids out, in process.",
        "",
        *targets_note(rows),
        "",
        "What bounds it: the layers' matrix products alone take, at the median, "
        + "; ".join(
            f"{result[name]['matrix products of a request, ms']['p50']:.1f} ms of a request and "
            f"{result[name]['matrix products of an event, ms']['p50']:.1f} ms of an event in {name}"
            for name in aims
        )
        + ". An event reads every weight of four layers once, 57 MB in fp32, from memory; a request's products are too "
        "thin for the machine's full rate, so fp32 cannot reach 6 ms here. The rest, most of it in int8, is the cost "
        "of calling some hundred small operations from Python; to be rid of it needs a compiled graph, as an exported "
        "model in a runtime of its own.",
    ]


def growth(result: dict[str, Any]) -> list[str]:
    """Curves."""
    lines = ["## Growth", "", "![growth](performance/growth.svg)", "", "| history | ms a user |", "|---|---|"]
    lines += [f"| {length} | {shown(value)} |" for length, value in result["history"].items()]
    lines += ["", "Linear to some hundred items; from then on attention, quadratic, shows.", ""]
    lines += ["| catalogue | one request's ranking, ms | a user of 256, ms | process, GB |", "|---|---|---|---|"]
    for items, value in result["catalogue"].items():
        cells = [shown(value["one request, ms"]), shown(value["a user of 256, ms"]), str(value["memory GB"])]
        lines.append(f"| {int(items):,} | " + " | ".join(cells) + " |")
    return lines


def index(result: dict[str, Any]) -> list[str]:
    """Approximate search."""
    lines = [
        "## Approximate index",
        "",
        "FAISS inverted lists over clustered vectors, tuned to recall .95 on 100 users and measured on 100 others; one "
        "request at a time. `model.build_index(histories)`.",
        "",
        "| items | recall@10 | lists searched | built in | approximate p50 / p99 ms | exact p50 / p99 ms |",
        "|---|---|---|---|---|---|",
    ]
    for items, value in result.items():
        if not items.isdigit():
            continue
        near, exact = value["approximate, ms"], value["exact, ms"]
        lines.append(
            f"| {int(items):,} | {value['recall@10 of other users']:.3f} | {value['lists searched']:.2%} | "
            f"{value['build s']:.0f} s | {near['p50']:.2f} / {near['p99']:.2f} | "
            f"{exact['p50']:.2f} / {exact['p99']:.2f} |"
        )
    return lines


def batch(result: dict[str, Any]) -> list[str]:
    """Parquet to Parquet."""
    return [
        "## Batch scoring",
        "",
        "`slmrec score`: Parquet in, Parquet out, ten items a user, a process of its own, its start included. The "
        "share is of the rate of the model's own `top_k` on the same histories in memory, in turns.",
        "",
        *batch_table(result),
    ]


def scoring_block() -> list[str]:
    """The table of docs/tasks/score.md."""
    return batch_table(json.loads(RESULT.read_text())["batch"])


def batch_table(result: dict[str, Any]) -> list[str]:
    """Time and memory of a process that scores so many users."""
    lines = [
        "| | seconds | users a second | most memory, GB | share of top_k's rate |",
        "|---|---|---|---|---|",
    ]
    for name, value in result.items():
        if isinstance(value, dict) and "seconds" in value:
            share = shown(value["share of top_k's rate"]) if "share of top_k's rate" in value else "–"
            rate, memory = f"{value['users a second']:,.0f}", value["most memory GB"]
            lines.append(f"| {name} | {value['seconds']:,.1f} | {rate} | {memory} | {share} |")
    return lines


def compiled(result: dict[str, Any]) -> list[str]:
    """torch.compile."""
    lines = ["## torch.compile", ""]
    if "fails with" in result:
        return [*lines, f"A training step of 4 layers fails under it: {result['fails with']}. Not used."]
    return [
        *lines,
        f"A training step of 4 layers takes {shown(result['eager s'])} s eager and {shown(result['compiled s'])} s "
        f"compiled ({result['ratio']:.2f} : 1), after a first step of {result['first step s']:.0f} s. Not used: the "
        "time is in matrix products, which it does not change, and it needs a C++ compiler.",
    ]


def precision(result: dict[str, Any]) -> list[str]:
    """Reduced precision."""
    lines = [
        "## Reduced precision",
        "",
        f"The trained student ({result['student']}) on the test users. Never silent: `--precision int8`, "
        '`model.use_precision("int8")`.',
        "",
        "| | users | NDCG@10 | overlap of the ten best with fp32's | users a second |",
        "|---|---|---|---|---|",
    ]
    for name in ("fp32", "int8", "bf16"):
        value = result[name]
        cells = [f"{value['users']:,}", f"{value['NDCG@10']:.4f}", f"{value['overlap of the ten best']:.3f}"]
        lines.append(f"| {name} | " + " | ".join([*cells, f"{value['users a second']:,.0f}"]) + " |")
    return [
        *lines,
        "",
        f"fp32 on the same {result['bf16']['users']:,} users as bf16: {result['fp32 on the users of bf16']:.4f}. "
        "This machine has no bf16 instructions, so bf16 is slow here.",
    ]


def parity(result: dict[str, Any]) -> list[str]:
    """Engine against plain layout."""
    return [
        "## Parity",
        "",
        f"All {result['users']:,} test users against the plain layout in transformers' own forward: largest "
        f"difference {result['largest difference over scale']:.1e} of the vectors' scale. Users whose ten best differ: "
        f"{result['users whose ten best differ']}; by scores that are equal to 1e-5: "
        f"{result['users whose ten best differ by a tie to 1e-5']}.",
    ]


def slide(result: dict[str, Any]) -> list[str]:
    """The named approximation of user states."""
    return [
        "## When a history outgrows the window",
        "",
        f"{result['data']}, student of a window of {result['window']} items, {result['users']:,} test users, "
        f'{result["beyond"]:,} of them with longer histories. `UserStates(slide="exact")`: NDCG@10 '
        f'{result["exact"]:.4f}; `slide="hop"`, about two positions an event instead of {result["window"]}: '
        f"{result['hop']:.4f}.",
    ]


SECTIONS = {
    "throughput": throughput,
    "training": training,
    "latency": latency,
    "growth": growth,
    "index": index,
    "batch": batch,
    "precision": precision,
    "parity": parity,
    "slide": slide,
    "compile": compiled,
}


def throughput_plot(result: dict[str, Any]) -> str:
    """Bars on a log scale."""
    table = next(table for name, table in result.items() if name.endswith("threads"))
    rates = {
        name: entry["median"] for name, entry in table.items() if "median" in entry_of(entry) and "GEMM" not in name
    }
    figure, axes = plt.subplots(figsize=(7.5, 2.8))
    bars = axes.barh(list(rates), list(rates.values()), color="#3b6ea5")
    axes.bar_label(bars, [f"{value:,.1f}" if value < 100 else f"{value:,.0f}" for value in rates.values()], padding=3)
    axes.set_xscale("log")
    axes.set_xlim(right=8 * max(rates.values()))
    axes.set_xlabel("users a second, all cores")
    axes.invert_yaxis()
    return svg(figure)


def growth_plot(found: dict[str, Any]) -> str:
    """History and catalogue, both axes logarithmic, with a line of slope one."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    history = {int(length): value["median"] for length, value in found["growth"]["history"].items()}
    left.plot(list(history), list(history.values()), "o-", color="#3b6ea5", label="measured")
    first = min(history)
    left.plot(list(history), [history[first] * n / first for n in history], ":", color="grey", label="linear")
    left.set_xlabel("items of the history")
    left.set_ylabel("ms a user, 4 layers")
    catalogue = found["growth"]["catalogue"]
    sizes = [int(items) for items in catalogue]
    for key, colour in (("one request, ms", "#3b6ea5"), ("a user of 256, ms", "#c46a2b")):
        right.plot(
            sizes,
            [value[key]["median"] for value in catalogue.values()],
            "o-",
            color=colour,
            label=f"exact, {key[:-4]}",
        )
    if "index" in found:
        near = {int(items): value for items, value in found["index"].items() if items.isdigit()}
        medians = [value["approximate, ms"]["p50"] for value in near.values()]
        right.plot(list(near), medians, "s--", color="#4b8b3b", label="index, one request")
    right.set_xlabel("items of the catalogue")
    right.set_ylabel("ms of ranking")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.legend(frameon=False)
    return svg(figure)


def svg(figure: Any) -> str:
    """Text that is the same for the same numbers."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    with mpl.rc_context({"svg.hashsalt": "slmrec", "svg.fonttype": "none"}):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def entry_of(entry: Any) -> dict[str, Any]:
    """An entry that may be a bare number."""
    return entry if isinstance(entry, dict) else {}


def shown(value: dict[str, float]) -> str:
    """Median and extremes."""
    digits = 0 if value["median"] >= 100 else 1 if value["median"] >= 10 else 3 if value["median"] < 0.1 else 2
    return f"{value['median']:,.{digits}f} ({value['min']:,.{digits}f} to {value['max']:,.{digits}f})"
