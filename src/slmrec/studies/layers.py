"""Does depth pay? (The paper's motivating figure.)

An LLM recommender is trained with its first L layers, for several L; and the deepest one is read out after each of its
layers without further training, with the final norm and without: the paper reads inner layers without it.
"""

from dataclasses import replace

from slmrec.models.backbone import check_backbone
from slmrec.recipe import Recipe
from slmrec.studies.plan import Look, Study, Trial

DEPTHS = (1, 2, 4, 8, 16, 30)


def study(recipe: Recipe) -> Study:
    """Depths up to the backbone's own, and the deepest read out at each layer."""
    available = check_backbone(recipe.teacher.backbone, None).num_hidden_layers
    depths = [*(depth for depth in DEPTHS if depth < available), available]
    trials = [Trial("popularity"), Trial("SASRec", recipe.sasrec)]
    trials += [Trial(f"{depth} layers", replace(recipe.teacher, layers=depth), items="SASRec") for depth in depths]
    deepest = f"{available} layers"
    read = sorted({*depths[:-1], *range(available // 4, available, max(1, available // 8)), available - 1})
    looks = [
        Look(f"{deepest}, read after {layer}{'' if norm else ', raw'}", (deepest,), tuple(range(layer)), norm)
        for layer in read
        for norm in (True, False)
    ]
    pairs = [(f"{depth} layers", "SASRec") for depth in depths]
    pairs += [(deepest, f"{depth} layers") for depth in depths[:-1]]
    axis = {f"{depth} layers": float(depth) for depth in depths}
    axis |= {look.name: float(len(look.layers)) for look in looks}
    question = "How good is an LLM recommender of the first L layers, trained so, or read out there untrained?"
    return Study("layers", question, trials, looks, pairs, axis, "layers")
