"""How much should each of several teachers count? All alike, or as the validation split would have it."""

from dataclasses import replace

from slmrec.recipe import Recipe
from slmrec.studies.plan import Look, Study, Trial
from slmrec.studies.students import SASRECS, by_scores, student_alone, taught_sasrec, with_text

TEACHERS = (*SASRECS, "item-kNN@0", "sequential rules@0", "text-kNN@0", "LLM + text@0")


def study(recipe: Recipe) -> Study:
    """The same teachers together in both ways, measured themselves and by a student of each kind."""
    llm = student_alone(recipe)
    trials = [
        Trial("item-kNN", recipe.item_knn),
        Trial("sequential rules", recipe.sequential_rules),
        Trial("text-kNN", recipe.text_knn),
        Trial("SASRec + text", with_text(recipe.sasrec)),
        Trial("LLM + text", llm, items="SASRec + text"),
    ]
    looks, pairs = [], []
    for way in ("alike", "weighed"):
        weighed = way == "weighed"
        loss = replace(by_scores(recipe), weigh_teachers=weighed)
        looks.append(Look(f"ensemble, {way}", TEACHERS, weighed=weighed))
        trials += [
            Trial(f"SASRec taught, {way}", taught_sasrec(recipe), teachers=TEACHERS, distillation=loss),
            Trial(f"LLM taught, {way}", llm, items="SASRec + text@0", teachers=TEACHERS, distillation=loss),
        ]
        pairs += [(f"{kind} taught, {way}", "SASRec + text") for kind in ("SASRec", "LLM")]
        pairs += [(f"{kind} taught, {way}", f"ensemble, {way}") for kind in ("SASRec", "LLM")]
        pairs += [(f"LLM taught, {way}", f"SASRec taught, {way}"), (f"LLM taught, {way}", "LLM + text")]
    pairs += [(f"{name}, weighed", f"{name}, alike") for name in ("ensemble", "SASRec taught", "LLM taught")]
    question = "How much should each of several teachers count: all alike, or as the validation split would have it?"
    return Study("ensembles", question, trials, looks, pairs)
