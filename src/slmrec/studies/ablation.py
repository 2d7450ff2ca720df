"""Which part of the paper's loss helps: each alone, each pair, all, none, and as the published code computes them."""

from dataclasses import replace
from itertools import combinations
from typing import Any

from slmrec.recipe import Recipe
from slmrec.studies.plan import Study, Trial
from slmrec.studies.students import student_alone

TERMS = {"D_cos": "lambda1", "D_norm": "lambda2", "L_ms": "lambda3"}


def study(recipe: Recipe) -> Study:
    """One teacher a seed, and students that differ in nothing but the loss."""
    alone = "cross-entropy alone"
    trials = [
        Trial("SASRec", recipe.sasrec),
        Trial("teacher", recipe.teacher, items="SASRec"),
        Trial(alone, student_alone(recipe), items="SASRec"),
    ]
    losses = {}
    for number in (1, 2, 3):
        for chosen in combinations(TERMS, number):
            weights: dict[str, Any] = {weight: 0.0 for name, weight in TERMS.items() if name not in chosen}
            losses[" + ".join(chosen)] = replace(recipe.distillation, form="paper", **weights)
    everything = " + ".join(TERMS)
    losses["as the published code"] = replace(recipe.distillation, form="published")
    losses["all, from the teacher's adapters"] = replace(recipe.distillation, form="paper", start="teacher-adapters")
    for name, loss in losses.items():
        items = "" if loss.start == "teacher-adapters" else "SASRec"
        trials.append(Trial(name, recipe.student, items=items, teachers=("teacher",), distillation=loss))
    pairs = [(name, alone) for name in losses]
    pairs += [
        ("D_cos + D_norm", "D_cos"),
        ("D_cos + L_ms", "D_cos"),
        (everything, "D_cos"),
        (everything, "D_cos + D_norm"),
        (everything, "D_cos + L_ms"),
        (everything, "teacher"),
        (everything, "SASRec"),
    ]
    question = "Does a student gain by distillation over cross-entropy alone, and by which part of the loss?"
    return Study("ablation", question, trials, (), pairs)
