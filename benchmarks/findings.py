"""What README.md says was found: a row a kind of model, a column a data set, and sentences; each number from JSON."""

import re
import textwrap
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

import claims
from claims import ALL, ALONE, CLASSIC, MODERN

DATA = {"ml-100k": "MovieLens-100K", "amazon14-beauty": "Amazon Beauty", "amazon14-sports": "Amazon Sports"}
PUBLISHED_SPLITS = "sasrec"
"""Beside the studies: SASRec alone, by `benchmarks/sasrec.py`."""
UNBROKEN = "\N{NO-BREAK SPACE}"
"""Between a number and its unit, which a line's end must not part."""
NUMBERS = ("no", "one", "two", "three", "four", "five")
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
        "4 of SmolLM2-135M's 30 layers, items by their ids, cross-entropy alone",
        {"ml-100k": ("ablation", ALONE), "amazon14-beauty": ("ablation-beauty", ALONE)},
    ),
    (
        "the same, distilled by the paper's loss",
        {"ml-100k": ("ablation", ALL), "amazon14-beauty": ("ablation-beauty", ALL)},
    ),
    (
        "SASRec, items by text, too",
        {"amazon14-beauty": ("models", CLASSIC), "amazon14-sports": ("models-sports", CLASSIC)},
    ),
    ("eSASRec, items by text, too", {"amazon14-beauty": ("models-longer", MODERN)}),
    (
        "SASRec, items by text, taught by three like it, rules and text-kNN",
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
            "amazon14-beauty": ("models-longer", "LLM taught by all, longer"),
            "amazon14-sports": ("models-sports", "LLM taught by all, longer"),
        },
    ),
)
"""What a row is called, and of each data set the study and the model that it tells."""


@dataclass(frozen=True)
class Difference:
    """A comparison of a study, as prose tells it."""

    found: dict[str, Any]

    @property
    def percent(self) -> str:
        """How much more of the metric, in percent of the baseline's."""
        return f"{self._percent('difference'):+.1f}{UNBROKEN}%"

    @property
    def interval(self) -> str:
        """The same of the interval's ends."""
        return f"{self._percent('low'):+.1f} to {self._percent('high'):+.1f}{UNBROKEN}%"

    @property
    def p(self) -> str:
        """Corrected, two digits of it."""
        return f"p = {self.found['p_corrected']:.2g}".replace("0.", ".")

    @property
    def seeds(self) -> str:
        """How many, the model's and the baseline's where they differ."""
        numbers = list(dict.fromkeys(self.found["seeds"]))
        said = " and ".join(NUMBERS[number] for number in numbers)
        return f"{said} seed{'' if numbers == [1] else 's'}"

    def _percent(self, key: str) -> float:
        return 100 * float(self.found[key]) / float(self.found["baseline_mean"])


def block() -> list[str]:
    """The table, and what it and other results come to."""
    lines = [f"| | {' | '.join(DATA.values())} |", f"|---|{'---|' * len(DATA)}"]
    for says, where in ROWS:
        lines.append(f"| {says} | {' | '.join(_value(name, where.get(name)) for name in DATA)} |")
    return [*lines, "", *_sentences()]


def _sentences() -> list[str]:
    """`findings.md.jinja` with its numbers, in lines."""
    template = Path(__file__).with_suffix(".md.jinja").read_text()
    said = (
        Environment(undefined=StrictUndefined)
        .from_string(template)
        .render(
            difference=difference,
            score=score,
            short=short,
            sasrec=claims.result_of(PUBLISHED_SPLITS),
            rate=claims.users_per_second(),
            ALL=ALL,
            ALONE=ALONE,
        )
    )
    points = [" ".join(re.split(r"[ \n]+", point.strip())) for point in f"\n{said}".split("\n- ")[1:]]
    wrap = partial(textwrap.wrap, width=120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return [line for point in points for line in wrap(f"- {point}")]


def score(study: str, model: str) -> str:
    """Mean NDCG@10 of a model in a study of one data set."""
    return short(_found(study)["models"][model]["mean"]["NDCG@10"])


def short(value: float) -> str:
    """Four digits of what is below one."""
    return f"{value:.4f}".removeprefix("0")


def difference(study: str, model: str, baseline: str, *, rare: bool = False) -> Difference:
    """A pair that a study of one data set compares; ``rare``: on items with 0 to 5 training interactions."""
    compared = _found(study)["comparisons_cold" if rare else "comparisons"]
    (found,) = (each for each in compared if (each["model"], each["baseline"]) == (model, baseline))
    return Difference(found)


def _found(study: str) -> dict[str, Any]:
    data: dict[str, dict[str, Any]] = claims.study_of(study)["data"]
    (found,) = data.values()
    return found


def _value(data: str, place: tuple[str, str] | None) -> str:
    if place is None:
        return "–"
    study, model = place
    if study == PUBLISHED_SPLITS:
        return f"{claims.result_of(study)[data]['NDCG@10']['mean']:.4f}"
    return f"{claims.models_of(study, data)[model]['mean']['NDCG@10']:.4f}"
