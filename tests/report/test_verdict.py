"""The sentences against planted numbers: what a reader would say of them, written out by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest

from slmrec.report.differences import Difference
from slmrec.report.run import Run
from slmrec.report.verdict import findings, headline

LAYERS = {"teacher": 8, "student": 4}
CLEAR = Difference(0.01, 0.005, 0.015)
NOISE = Difference(0.001, -0.004, 0.006)


def gaps(**certain: Difference) -> Callable[[str, str], Difference | None]:
    """Return a lookup in which every pair is clear but those named ``model_baseline``."""
    return lambda model, baseline: certain.get(f"{model}_{baseline}", CLEAR)


def said(layers: dict[str, int] = LAYERS, gap: Callable | None = None, **ndcg: float) -> str:
    return headline(ndcg, gap or gaps(), layers).replace("\u202f", " ")


def test_student_behind_its_teacher_and_sasrec_ahead_of_both():
    assert said(teacher=0.05, student=0.049, sasrec=0.053) == (
        "The 4-layer student keeps 98 % of the teacher’s NDCG@10 with half its layers; "
        "SASRec is ahead of both, of the student by 8.2 %."
    )


def test_one_number_is_enough_where_sasrec_is_as_far_ahead_of_the_teacher():
    assert said(teacher=0.05, student=0.05, sasrec=0.053) == (
        "The 4-layer student matches its 8-layer teacher in NDCG@10; SASRec is ahead of both by 6 %."
    )


def test_student_ahead_of_everybody():
    assert said(teacher=0.05, student=0.06, sasrec=0.04) == (
        "The 4-layer student is ahead of its 8-layer teacher by 20 % in NDCG@10; "
        "the student is ahead of SASRec by 50 %."
    )


def test_a_lead_within_the_noise_is_no_lead():
    noise = gaps(student_teacher=NOISE, student_sasrec=NOISE)
    assert said(gap=noise, teacher=0.05, student=0.052, sasrec=0.051) == (
        "The 4-layer student matches its 8-layer teacher "
        "(104 % of its NDCG@10, a difference within the noise); SASRec and the student cannot be told apart."
    )


def test_sasrec_between_student_and_teacher():
    assert said(teacher=0.06, student=0.048, sasrec=0.0552).endswith(
        "; SASRec is ahead of the student by 15 %, but not of the teacher."
    )


def test_sasrec_ahead_of_the_student_alone_where_the_teacher_is_too_close():
    sentence = said(gap=gaps(teacher_sasrec=NOISE), teacher=0.05, student=0.045, sasrec=0.054)
    assert sentence.endswith("ahead of the student by 20 % and cannot be told apart from the teacher.")


def test_without_ranks_the_numbers_speak_alone():
    assert said(gap=lambda *_: None, student=0.04, sasrec=0.05) == "SASRec is ahead of the student by 25 %."


@pytest.mark.parametrize(
    ("teacher", "student", "price"),
    [
        (8, 4, " with half its layers"),
        (12, 3, " with a quarter of its layers"),
        (6, 2, " with a third of its layers"),
        (6, 4, " with 4 of its 6 layers"),
        (32, 4, " with 4 of its 32 layers"),
        (4, 4, ""),
    ],
)
def test_layers_are_told_as_a_share(teacher: int, student: int, price: str):
    sentence = said(layers={"teacher": teacher, "student": student}, teacher=0.1, student=0.09)
    assert sentence == f"The {student}-layer student keeps 90 % of the teacher’s NDCG@10{price}."


def test_without_known_layers():
    assert said(layers={}, teacher=0.1, student=0.09) == "The student keeps 90 % of the teacher’s NDCG@10."


def test_without_a_student():
    assert said(popularity=0.01, sasrec=0.05) == (
        "SASRec reaches an NDCG@10 of 0.0500, and there is no student to compare."
    )


@pytest.mark.parametrize("name", ["popularity", "sasrec", "teacher", "student_ce", "student"])
def test_zeros_are_never_divided_by(name: str):
    ndcg = dict.fromkeys(["popularity", "sasrec", "teacher", "student_ce", "student"], 0.05)
    assert said(**ndcg | {name: 0.0}).endswith(".")
    assert "not" not in said(**{name: 0.01})
    assert said(**{name: 0.0}) == "No model of this run puts a single true next item among its first ten."


def served(gap: Callable | None = None, **models: tuple[float, float]) -> str:
    """What is said of models, each given as its NDCG@10 and the seconds that 100 users took."""
    metrics = {
        name: {"metrics": {"NDCG@10": ndcg}, "users": 100, "seconds": seconds}
        for name, (ndcg, seconds) in models.items()
    }
    run = Run(Path("run"), metrics, {}, {}, {}, [], None)
    return next(each.sentence for each in findings(run, gap or gaps()) if each.topic == "Choice")


def test_the_model_to_serve_is_the_fastest_that_none_is_certainly_ahead_of():
    models = {"student": (0.062, 4.0), "sasrec_taught": (0.061, 1.0), "sasrec": (0.056, 1.0)}
    assert served(gaps(student_sasrec_taught=NOISE), **models) == (
        "Serve the taught SASRec: the distilled student is ahead of it within the noise only, and takes 4.0 times as "
        "long for a user."
    )
    assert served(**models) == (
        "Serve the distilled student where quality decides: no model of this run ranks better. "
        "The taught SASRec ranks 4.0 times as many users a second, at an NDCG@10 of 0.0610 instead "
        "of 0.0620."
    )
    assert served(gaps(sasrec_taught_sasrec=NOISE), sasrec_taught=(0.061, 1.1), sasrec=(0.06, 1.0)) == (
        "Serve the taught SASRec: no model of this run ranks better, and none is much faster."
    )
    assert served(sasrec=(0.07, 1.0), student=(0.06, 2.0)) == (
        "Serve SASRec: no model of this run ranks better, and none is much faster."
    )


def test_what_trains_nothing_may_be_the_one_to_serve():
    models = {"student": (0.0968, 10.8), "student_ce": (0.1121, 8.4), "sequential_rules": (0.107, 0.1)}
    assert served(gaps(student_ce_sequential_rules=NOISE), **models).startswith("Serve sequential rules: ")
    assert served(**models).startswith("Serve the student trained by cross-entropy alone where quality decides: ")
