"""Ways to distil: states block by block, contrasted, related or online; scores, those of the best, or their order."""

from dataclasses import replace
from typing import Any

from slmrec.recipe import Recipe
from slmrec.studies.plan import Study, Trial
from slmrec.studies.students import by_scores, student_alone

TEMPERATURES = (0.5, 1.0, 2.0, 4.0)
WHOLE = 10**9
"""Candidates that hold any catalogue."""
TOP = (10, 100)
RANKED, DECAY = 10, 3.0
"""Items whose order teaches, and after how many of them one counts a third."""


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
        "states, online": replace(recipe.distillation, form="paper", start="pretrained", online=True),
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
    everything = replace(by_scores(recipe), candidates=WHOLE)
    ways["scores, all items"] = everything
    for number in TOP:
        ways[f"scores, teacher's best {number}"] = replace(everything, top_items=number)
    ways[f"scores, best {TOP[-1]} of both"] = replace(everything, top_items=TOP[-1], own_items=TOP[-1])
    ways["order of the best"] = replace(everything, top_items=RANKED, rank_decay=DECAY)
    ways["order of the best, consistent"] = replace(everything, top_items=RANKED, rank_decay=DECAY, consistency=0.1)
    trials += [
        Trial(name, shape, items="SASRec", teachers=("teacher",), distillation=way) for name, way in ways.items()
    ]
    both = "scores of teacher and SASRec"
    trials.append(Trial(both, shape, items="SASRec", teachers=("teacher", "SASRec"), distillation=by_scores(recipe)))
    pairs = [(name, alone) for name in (*by_states, *ways, both)] + [(name, states) for name in (*ways, both)]
    pairs.append((states, "states, online"))
    return Study("kd", "Which way of distillation teaches the same student most?", trials, (), pairs)
