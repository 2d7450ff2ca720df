"""Ways to distil: states block by block, contrasted or related, against scores at several temperatures and weights."""

from dataclasses import replace
from typing import Any

from slmrec.recipe import Recipe
from slmrec.studies.plan import Study, Trial
from slmrec.studies.students import by_scores, student_alone

TEMPERATURES = (0.5, 1.0, 2.0, 4.0)
WHOLE = 10**9
"""Candidates that hold any catalogue."""


def study(recipe: Recipe) -> Study:
    """One teacher a seed, and students that differ in how they follow it."""
    alone, states = "cross-entropy alone", "states, block by block"
    shape = student_alone(recipe)
    trials = [
        Trial("SASRec", recipe.sasrec),
        Trial("teacher", recipe.teacher, items="SASRec"),
        Trial(alone, shape, items="SASRec"),
    ]
    nothing: dict[str, Any] = {"lambda1": 0.0, "lambda2": 0.0, "lambda3": 0.0}
    by_states = {
        states: replace(recipe.distillation, form="paper"),
        "states, contrastive": replace(recipe.distillation, form="paper", contrastive=1.0, **nothing),
        "states, relational": replace(recipe.distillation, form="paper", relational=1.0, **nothing),
    }
    trials += [
        Trial(name, recipe.student, items="SASRec", teachers=("teacher",), distillation=way)
        for name, way in by_states.items()
    ]
    ways = {f"scores, T = {t:g}": replace(by_scores(recipe), temperature=t) for t in TEMPERATURES}
    ways["scores, no cross-entropy"] = replace(by_scores(recipe), cross_entropy=0.0)
    ways["scores, cross-entropy 1"] = replace(by_scores(recipe), cross_entropy=1.0)
    for number in (256, 2048):
        ways[f"scores, {number:,} candidates"] = replace(by_scores(recipe), candidates=number)
    ways["scores, all items"] = replace(by_scores(recipe), candidates=WHOLE)
    trials += [
        Trial(name, shape, items="SASRec", teachers=("teacher",), distillation=way) for name, way in ways.items()
    ]
    both = "scores of teacher and SASRec"
    trials.append(Trial(both, shape, items="SASRec", teachers=("teacher", "SASRec"), distillation=by_scores(recipe)))
    pairs = [(name, alone) for name in (*by_states, *ways, both)] + [(name, states) for name in (*ways, both)]
    return Study("kd", "Which way of distillation teaches the same student most?", trials, (), pairs)
