"""How small can a student get: fewer layers, int8, a narrower item table, and together."""

from dataclasses import replace

from slmrec.recipe import Recipe
from slmrec.studies.plan import Look, Study, Trial
from slmrec.studies.students import student_alone

DEPTHS = (1, 2, 4)
WIDTHS = (32, 64)


def study(recipe: Recipe) -> Study:
    """Depths and widths of the item table, each in fp32 and int8."""
    shape = student_alone(recipe)
    trials = [Trial("SASRec", recipe.sasrec)]
    trials += [Trial(f"SASRec, {width} wide", replace(recipe.sasrec, hidden_size=width)) for width in WIDTHS]
    depths = sorted({*DEPTHS, shape.layers})
    llms = [Trial(f"{depth} layers", replace(shape, layers=depth), items="SASRec") for depth in depths]
    llms += [
        Trial(f"{shape.layers} layers, items {width} wide", shape, items=f"SASRec, {width} wide") for width in WIDTHS
    ]
    looks = [Look(f"{trial.name}, int8", (trial.name,), precision="int8") for trial in llms]
    whole = f"{shape.layers} layers"
    pairs = [(look.name, look.of[0]) for look in looks] + [(trial.name, whole) for trial in llms if trial.name != whole]
    question = "What does a smaller student lose?"
    return Study("compression", question, [*trials, *llms], looks, pairs)
