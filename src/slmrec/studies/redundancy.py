"""Which layers matter: leave each one out, or a range of them, of a trained model, without training again.

Half of the layers, chosen by what they do or simply the first, are then trained on, taught by the whole model.
"""

from dataclasses import replace
from typing import get_args

from slmrec.evaluation.layer_roles import By
from slmrec.recipe import Recipe
from slmrec.studies.plan import Look, Study, Trial
from slmrec.studies.students import by_scores


def study(recipe: Recipe) -> Study:
    """The recipe's teacher without each layer, without each half and quarter, and cut in half."""
    whole = recipe.teacher.layers
    name = f"{whole} layers"
    trials = [Trial("SASRec", recipe.sasrec), Trial(name, recipe.teacher, items="SASRec")]
    left_out: list[tuple[int, ...]] = [(layer,) for layer in range(whole)]
    for parts in (4, 2):
        size = whole // parts
        left_out += [tuple(range(start, start + size)) for start in range(0, whole, size)] if size > 1 else []
    looks = [
        Look(_without(skipped), (name,), tuple(layer for layer in range(whole) if layer not in skipped))
        for skipped in left_out
        if len(skipped) < whole
    ]
    pairs = [(look.name, name) for look in looks]
    if whole > 1 and recipe.teacher.reading == "every-position":
        half, heal = whole // 2, replace(by_scores(recipe), start="teacher")
        first = f"first {half}, healed"
        chosen = [f"{half} by {by}, healed" for by in get_args(By)]
        for cut, by in zip((first, *chosen), ("", *get_args(By)), strict=True):
            options = replace(recipe.teacher, layers=half, layers_by=by)
            trials.append(Trial(cut, options, teachers=(name,), distillation=heal))
        pairs += [(first, name), *((cut, first) for cut in chosen)]
    axis = {_without((layer,)): float(layer + 1) for layer in range(whole) if whole > 1}
    question = "What is lost when a trained model does without some of its layers?"
    return Study("redundancy", question, trials, looks, pairs, axis, "the layer left out", inside=True)


def _without(layers: tuple[int, ...]) -> str:
    first, last = layers[0] + 1, layers[-1] + 1
    return f"without layer {first}" if first == last else f"without layers {first} to {last}"
