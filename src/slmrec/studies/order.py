"""Does a model use the order of a history at all?"""

from dataclasses import replace

from slmrec.recipe import Recipe
from slmrec.studies.plan import Look, Study, Trial
from slmrec.studies.students import student_alone


def study(recipe: Recipe) -> Study:
    """Trained in order and out of order, tested in order and out of order."""
    apart = ", trained out of order"
    models = [Trial("SASRec", recipe.sasrec), Trial("LLM", student_alone(recipe), items="SASRec")]
    out = [
        replace(trial, name=trial.name + apart, items=trial.items and trial.items + apart, shuffled=True)
        for trial in models
    ]
    trials = [*models, *out]
    looks = [Look(f"{trial.name}, tested out of order", (trial.name,), shuffled=True) for trial in trials]
    pairs = [(look.name, look.of[0]) for look in looks[:2]]
    pairs += [(changed.name, trial.name) for trial, changed in zip(models, out, strict=True)]
    pairs += [(looks[2 + place].name, trial.name) for place, trial in enumerate(models)]
    question = "How much is lost when training, test, or both lose the order of histories?"
    return Study("order", question, trials, looks, pairs)
