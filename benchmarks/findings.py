"""What was found: a row a kind of model, a column a data set, and sentences below, a few of them in README.md."""

import claims
from claims import ALL, ALONE, CLASSIC, MODERN
from sentences import sentences

DATA = {"ml-100k": "MovieLens-100K", "amazon14-beauty": "Amazon Beauty", "amazon14-sports": "Amazon Sports"}
PUBLISHED_SPLITS = "sasrec"
"""Beside the studies: SASRec alone, by `benchmarks/sasrec.py`."""
ROWS: tuple[tuple[str, dict[str, tuple[str, str]]], ...] = (
    (
        "sequential rules, which train nothing",
        {
            "ml-100k": ("models-tuned", "sequential rules"),
            "amazon14-beauty": ("models", "sequential rules"),
            "amazon14-sports": ("models-sports", "sequential rules"),
        },
    ),
    (
        "SASRec, items by their ids",
        {
            "ml-100k": ("models-tuned", "SASRec"),
            "amazon14-beauty": ("ablation-beauty", "SASRec"),
            "amazon14-sports": (PUBLISHED_SPLITS, "SASRec"),
        },
    ),
    (
        "the recipe's SASRec by ids, with rules, item-kNN and text-kNN beside it",
        {
            "ml-100k": ("models-neighbours", "SASRec, with neighbours"),
            "amazon14-beauty": ("models-neighbours-beauty", "SASRec, with neighbours"),
        },
    ),
    (
        "4 of SmolLM2-135M's 30 layers, items by their ids, cross-entropy alone",
        {"ml-100k": ("ablation", ALONE), "amazon14-beauty": ("ablation-beauty", ALONE)},
    ),
    (
        "the same, distilled by the paper's loss",
        {"ml-100k": ("ablation", ALL), "amazon14-beauty": ("ablation-beauty", ALL)},
    ),
    (
        "SASRec, items by text, too",
        {"amazon14-beauty": ("models", CLASSIC), "amazon14-sports": ("models-neighbours-sports", CLASSIC)},
    ),
    (
        "the same, with rules, item-kNN and text-kNN beside it",
        {
            "amazon14-beauty": ("models-neighbours-text", f"{CLASSIC}, with neighbours"),
            "amazon14-sports": ("models-neighbours-sports", f"{CLASSIC}, with neighbours"),
        },
    ),
    (
        "eSASRec, items by text, too",
        {
            "amazon14-beauty": ("models-neighbours-text", MODERN),
            "amazon14-sports": ("models-neighbours-sports", MODERN),
        },
    ),
    (
        "SASRec, items by text, too, that learns less by heart",
        {
            "amazon14-beauty": ("regularised-beauty", CLASSIC),
            "amazon14-sports": ("regularised-sports", CLASSIC),
        },
    ),
    (
        "SASRec, items by text, taught by three of the recipe's, rules and text-kNN",
        {
            "amazon14-beauty": ("models", "SASRec taught by classics"),
            "amazon14-sports": ("models-sports", "SASRec taught by classics"),
        },
    ),
    (
        "those 4 layers, items by text, too, cross-entropy alone",
        {"amazon14-beauty": ("models-longer", "LLM + text"), "amazon14-sports": ("models-sports", "LLM + text")},
    ),
    (
        "the same, taught by the scores of an LLM and all of these teachers",
        {
            "amazon14-beauty": ("models-neighbours-text", "LLM taught by all, longer"),
            "amazon14-sports": ("models-neighbours-sports", "LLM taught by all, longer"),
        },
    ),
    (
        "the same, taught by three SASRecs that learn less by heart, rules and text-kNN",
        {
            "amazon14-beauty": ("regularised-beauty", "LLM taught by classics"),
            "amazon14-sports": ("regularised-sports", "LLM taught by classics"),
        },
    ),
    (
        "the last, with rules, item-kNN and text-kNN beside it",
        {
            "amazon14-beauty": ("regularised-beauty", "LLM taught by classics, with neighbours"),
            "amazon14-sports": ("regularised-sports", "LLM taught by classics, with neighbours"),
        },
    ),
    (
        "4 layers of random weights, 128 wide instead of 576, taught by the same",
        {
            "amazon14-beauty": ("pretraining-beauty", claims.NARROW),
            "amazon14-sports": ("pretraining-sports", claims.NARROW),
        },
    ),
)
"""What a row is called, and of each data set the study and the model that it tells."""


def page() -> str:
    """docs/findings.md."""
    lines = [
        "# What was found",
        "",
        "Test NDCG@10 over the full catalogue, seen items masked, ties against the model; means over seeds. Written by",
        "`python benchmarks/tables.py` from `benchmarks/results`; [claims](claims.md) has the seeds, interval and p",
        "of each claim, [the log](log.md) what else was tried.",
        "",
        *_table(),
        "",
        *sentences("findings"),
    ]
    return "\n".join([*lines, ""])


def block() -> list[str]:
    """README.md's: the table, and what it comes to."""
    return [*_table(), "", *sentences("summary")]


def _table() -> list[str]:
    lines = [f"| | {' | '.join(DATA.values())} |", f"|---|{'---|' * len(DATA)}"]
    for says, where in ROWS:
        lines.append(f"| {says} | {' | '.join(_value(name, where.get(name)) for name in DATA)} |")
    return lines


def _value(data: str, place: tuple[str, str] | None) -> str:
    if place is None:
        return "–"
    study, model = place
    if study == PUBLISHED_SPLITS:
        return f"{claims.result_of(study)[data]['NDCG@10']['mean']:.4f}"
    return f"{claims.models_of(study, data)[model]['mean']['NDCG@10']:.4f}"
