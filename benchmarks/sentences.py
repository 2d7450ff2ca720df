"""Sentences with results in them: each text of benchmarks/sentences, its numbers from the JSON."""

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

import claims

UNBROKEN = "\N{NO-BREAK SPACE}"
"""Between a number and its unit, which a line's end must not part."""
NUMBERS = ("no", "one", "two", "three", "four", "five")


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
        return _seeds(self.found["seeds"])

    def ahead(self, words: str) -> str:
        """These words, as long as the model is certainly better; ValueError once it is not."""
        return self._words("ahead", words)

    def behind(self, words: str) -> str:
        """As long as it is certainly worse."""
        return self._words("behind", words)

    def level(self, words: str) -> str:
        """As long as neither is certain."""
        return self._words("level", words)

    def _words(self, verdict: str, words: str) -> str:
        now = "level" if not claims.certain(self.found) else "ahead" if self.found["difference"] > 0 else "behind"
        if now != verdict:
            model, baseline = self.found["model"], self.found["baseline"]
            raise ValueError(
                f"{words!r}: {model!r} beside {baseline!r} is {now} by its numbers; write the sentence anew"
            )
        return words

    def _percent(self, key: str) -> float:
        return 100 * float(self.found[key]) / float(self.found["baseline_mean"])


def sentences(name: str) -> list[str]:
    """The text ``NAME.md.jinja``, in lines, an empty one between headings, paragraphs and lists."""
    template = (Path(__file__).with_suffix("") / f"{name}.md.jinja").read_text()
    said = (
        Environment(undefined=StrictUndefined)
        .from_string(template)
        .render(
            difference=difference,
            score=score,
            seeds=seeds,
            trained=trained,
            ways=ways,
            new=new,
            short=short,
            sasrec=claims.result_of("sasrec"),
            regularised=claims.result_of("sasrec-regularised"),
            count=count,
            rate=claims.users_per_second(),
            run=claims.result_of("run-ml-100k"),
            run_taught=claims.result_of("run-beauty-taught"),
            run_narrow=claims.result_of("run-beauty-taught-narrow"),
            ALL=claims.ALL,
            ALONE=claims.ALONE,
        )
    )
    wrap = partial(textwrap.wrap, width=120, break_long_words=False, break_on_hyphens=False)
    lines: list[str] = []
    for part in re.split(r"\n\s*\n|\n(?=- )", said.strip()):
        point = part.startswith("- ")
        lines += [""] if lines and not (point and lines[-1].startswith(("- ", "  "))) else []
        lines += wrap(" ".join(re.split(r"[ \n]+", part.strip())), subsequent_indent="  " if point else "")
    return lines


def score(study: str, model: str, count: str | None = None) -> str:
    """Mean NDCG@10 of a model in a study of one data set; ``count``: where training has so many of the target."""
    found = _found(study)["models"][model]
    return short((found["mean"] if count is None else found["target_count"][count])["NDCG@10"])


def seeds(study: str, model: str) -> str:
    """How many seeds of a model a study of one data set has."""
    return _seeds([len(_found(study)["models"][model]["seeds"])])


def trained(study: str, model: str, other: str) -> str:
    """How many weights of a model of a study train, item vectors among them, in percent of another's."""
    ours, theirs = (_found(study)["models"][name]["parameters"]["trained"] for name in (model, other))
    return f"{100 * ours / theirs:.0f}{UNBROKEN}%"


def ways(study: str) -> list[str]:
    """The trainings of a study of one data set that have a teacher."""
    return [trial["name"] for trial in claims.study_of(study)["trials"] if trial["distillation"]]


def new(study: str) -> int:
    """How many test targets of a study's data set never occur in training."""
    (number,) = {model["cold_targets"] for model in _found(study)["models"].values()}
    return int(number)


def count(entry: dict[str, Any]) -> str:
    """How many seeds a result of benchmarks/sasrec.py has."""
    return _seeds([len(entry["seeds"])])


def short(value: float) -> str:
    """Four digits of what is below one."""
    return f"{value:.4f}".removeprefix("0")


def difference(study: str, model: str, baseline: str, *, rare: bool = False) -> Difference:
    """A pair that a study of one data set compares; ``rare``: on items with 0 to 5 training interactions."""
    compared = _found(study)["comparisons_cold" if rare else "comparisons"]
    (found,) = (each for each in compared if (each["model"], each["baseline"]) == (model, baseline))
    return Difference(found)


def _seeds(counts: Iterable[int]) -> str:
    numbers = list(dict.fromkeys(counts))
    said = " and ".join(NUMBERS[number] for number in numbers)
    return f"{said} seed{'' if numbers == [1] else 's'}"


def _found(study: str) -> dict[str, Any]:
    data: dict[str, dict[str, Any]] = claims.study_of(study)["data"]
    (found,) = data.values()
    return found
