"""Which layers matter: leave each one out, or a range of them, of a trained model, without training again."""

from slmrec.recipe import Recipe
from slmrec.studies.plan import Look, Study, Trial


def study(recipe: Recipe) -> Study:
    """The recipe's teacher without each layer, and without each half and quarter."""
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
    axis = {_without((layer,)): float(layer + 1) for layer in range(whole) if whole > 1}
    question = "What is lost when a trained model does without some of its layers?"
    return Study("redundancy", question, trials, looks, pairs, axis, "the layer left out", inside=True)


def _without(layers: tuple[int, ...]) -> str:
    first, last = layers[0] + 1, layers[-1] + 1
    return f"without layer {first}" if first == last else f"without layers {first} to {last}"
