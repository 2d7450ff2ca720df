"""What was found: a row a kind of model, a column a data set, and sentences below, a few of them in README.md."""

from collections.abc import Iterable
from dataclasses import dataclass

import claims
from claims import ALL, ALONE, CLASSIC, MODERN
from sentences import sentences

DATA = {"ml-100k": "MovieLens-100K", "amazon14-beauty": "Amazon Beauty", "amazon14-sports": "Amazon Sports"}
PUBLISHED_SPLITS = "sasrec"
"""Beside the studies: SASRec alone, by `benchmarks/sasrec.py`."""
REGULARISED = ("regularised-beauty", "regularised-sports")


@dataclass(frozen=True)
class Row:
    """A kind of model."""

    says: str
    """What it is called, as read below the row before it, in README.md's table, too."""
    where: dict[str, tuple[str, str]]
    """Of each data set the study and the model that tell."""
    brief: bool = False
    """Whether README.md has it, too."""


def _amazon(beauty: str, sports: str, model: str) -> dict[str, tuple[str, str]]:
    """Of both shops one model, by a study each."""
    return {"amazon14-beauty": (beauty, model), "amazon14-sports": (sports, model)}


ROWS = (
    Row(
        "sequential rules, which train nothing",
        {"ml-100k": ("models-tuned", "sequential rules")} | _amazon("models", "models-sports", "sequential rules"),
        brief=True,
    ),
    Row(
        "SASRec, items by their ids",
        {"ml-100k": ("models-tuned", "SASRec")} | _amazon("ablation-beauty", PUBLISHED_SPLITS, "SASRec"),
        brief=True,
    ),
    Row(
        "the recipe's SASRec by ids, with rules, item-kNN and text-kNN beside it",
        {
            "ml-100k": ("models-neighbours", "SASRec, with neighbours"),
            "amazon14-beauty": ("models-neighbours-beauty", "SASRec, with neighbours"),
        },
    ),
    Row(
        "4 of SmolLM2-135M's 30 layers, items by their ids, cross-entropy alone",
        {"ml-100k": ("ablation", ALONE), "amazon14-beauty": ("ablation-beauty", ALONE)},
        brief=True,
    ),
    Row(
        "the same, distilled by the paper's loss",
        {"ml-100k": ("ablation", ALL), "amazon14-beauty": ("ablation-beauty", ALL)},
        brief=True,
    ),
    Row("SASRec, items by text, too", _amazon("models", "models-neighbours-sports", CLASSIC), brief=True),
    Row(
        "the same, with rules, item-kNN and text-kNN beside it",
        _amazon("models-neighbours-text", "models-neighbours-sports", f"{CLASSIC}, with neighbours"),
    ),
    Row("eSASRec, items by text, too", _amazon("models-neighbours-text", "models-neighbours-sports", MODERN)),
    Row(
        "SASRec, items by text, too, taught by three of those SASRecs, rules and text-kNN",
        _amazon("models", "models-sports", "SASRec taught by classics"),
    ),
    Row(
        "those 4 layers, items by text, too, cross-entropy alone",
        _amazon("models-longer", "models-sports", "LLM + text"),
    ),
    Row(
        "the same, taught by the scores of an LLM and all of these teachers",
        _amazon("models-neighbours-text", "models-neighbours-sports", "LLM taught by all, longer"),
    ),
    Row(
        "SASRec, items by text, too, with dropout on item vectors and averaged weights",
        _amazon(*REGULARISED, CLASSIC),
        brief=True,
    ),
    Row(
        "the same, with rules, item-kNN and text-kNN beside it",
        _amazon(*REGULARISED, f"{CLASSIC}, with neighbours"),
        brief=True,
    ),
    Row(
        "SASRec taught by three of the former, rules and text-kNN",
        _amazon(*REGULARISED, "SASRec taught by classics"),
        brief=True,
    ),
    Row(
        "4 of SmolLM2-135M's layers, taught by the same",
        _amazon(*REGULARISED, "LLM taught by classics"),
        brief=True,
    ),
    Row(
        "4 layers of random weights, 128 wide instead of 576, taught by the same",
        _amazon("pretraining-beauty", "pretraining-sports", claims.NARROW),
        brief=True,
    ),
    Row(
        "SmolLM2-135M's layers, so taught, with rules, item-kNN and text-kNN beside them",
        _amazon(*REGULARISED, "LLM taught by classics, with neighbours"),
    ),
)


def page() -> str:
    """docs/findings.md."""
    lines = [
        "# What was found",
        "",
        "Test NDCG@10 over the full catalogue, seen items masked, ties against the model; means over seeds. Written by",
        "`python benchmarks/tables.py` from `benchmarks/results`; [claims](claims.md) has the seeds, interval and p",
        "of each claim, [the log](log.md) what else was tried.",
        "",
        *_table(ROWS),
        "",
        *sentences("findings"),
    ]
    return "\n".join([*lines, ""])


def block() -> list[str]:
    """README.md's: the table in brief, and what it comes to."""
    return [*_table(row for row in ROWS if row.brief), "", *sentences("summary")]


def _table(rows: Iterable[Row]) -> list[str]:
    lines = [f"| | {' | '.join(DATA.values())} |", f"|---|{'---|' * len(DATA)}"]
    for row in rows:
        lines.append(f"| {row.says} | {' | '.join(_value(name, row.where.get(name)) for name in DATA)} |")
    return lines


def _value(data: str, place: tuple[str, str] | None) -> str:
    if place is None:
        return "–"
    study, model = place
    if study == PUBLISHED_SPLITS:
        return f"{claims.result_of(study)[data]['NDCG@10']['mean']:.4f}"
    return f"{claims.models_of(study, data)[model]['mean']['NDCG@10']:.4f}"
