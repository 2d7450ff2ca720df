"""How small can a student get: fewer layers, narrower ones, fewer bits, a smaller item table, and together.

Width is taken from a trained student by what its neurons and heads add on training histories; "healed" is trained on
afterwards, taught by the whole one. All else is done to a trained model, and nothing is trained for it.
"""

from collections.abc import Mapping
from dataclasses import replace

from slmrec.engine import Precision
from slmrec.engine.decoder import FUSED
from slmrec.models.backbone import check_backbone
from slmrec.models.width import widths
from slmrec.recipe import Recipe
from slmrec.studies.plan import Look, Study, Trial
from slmrec.studies.students import by_scores, student_alone
from slmrec.training.options import LLMOptions

DEPTHS = (1, 2, 4)
WIDTHS = (32, 64)
SHARES = (2, 4)
"""A half and a quarter of the neurons, and of the item table's width."""
BITS: tuple[Precision, ...] = ("int8", "int4")


def study(recipe: Recipe) -> Study:
    """Depths, widths, bits and item tables, one by one and together."""
    shape = student_alone(recipe)
    whole = f"{shape.layers} layers"
    trials = [Trial("SASRec", recipe.sasrec)]
    trials += [Trial(f"SASRec, {width} wide", replace(recipe.sasrec, hidden_size=width)) for width in WIDTHS]
    depths = sorted({*DEPTHS, shape.layers})
    llms = [Trial(f"{depth} layers", replace(shape, layers=depth), items="SASRec") for depth in depths]
    llms += [Trial(f"{whole}, items {width} wide", shape, items=f"SASRec, {width} wide") for width in WIDTHS]
    looks = [Look(f"{trial.name}, int8", (trial.name,), precision="int8") for trial in llms]
    looks.append(Look(f"{whole}, int4", (whole,), precision="int4"))
    ranks = [recipe.sasrec.hidden_size // share for share in SHARES if recipe.sasrec.hidden_size >= share]
    looks += [
        Look(f"{name}, items of rank {rank}", (name,), item_rank=rank) for rank in ranks for name in ("SASRec", whole)
    ]
    pairs: list[tuple[str, str]] = []
    config = check_backbone(shape.backbone, None)
    if config.model_type in FUSED:
        own = widths(config)
        narrower = {f"{own.neurons // share} neurons": (own.neurons // share, 0) for share in SHARES}
        if own.groups > 1:
            narrower[f"{(own.groups - 1) * own.heads} heads"] = (0, own.groups - 1)
        looks += [
            Look(f"{whole}, {name}", (whole,), neurons=neurons, head_groups=groups)
            for name, (neurons, groups) in narrower.items()
        ]
        if shape.reading == "every-position":
            healed, pairs = _healed(recipe, whole, narrower)
            llms += healed
            best = healed[0].name
            looks += [
                Look(f"{best}, {bits}, items of rank {ranks[0]}", (best,), precision=bits, item_rank=ranks[0])
                for bits in BITS
            ]
    pairs += [(look.name, look.of[0]) for look in looks]
    pairs += [(trial.name, whole) for trial in llms if trial.name != whole]
    question = "What does a smaller student lose, and is it better made shallower, narrower, or of fewer bits?"
    return Study("compression", question, [*trials, *llms], looks, pairs)


def _healed(
    recipe: Recipe, whole: str, narrower: Mapping[str, tuple[int, int]]
) -> tuple[list[Trial], list[tuple[str, str]]]:
    """What is cut out of the whole student and trained on, taught by it; and how depth and width compare.

    Args:
        recipe: the student's.
        whole: the trial that is cut from.
        narrower: names and (neurons, head groups), 0 for all.
    """
    shape, heal = student_alone(recipe), replace(by_scores(recipe), start="teacher")

    def cut(name: str, options: LLMOptions) -> Trial:
        return Trial(f"{name}, healed", options, teachers=(whole,), distillation=heal)

    trials = [
        cut(f"{whole}, {name}", replace(shape, neurons=neurons, head_groups=groups))
        for name, (neurons, groups) in narrower.items()
    ]
    pairs = []
    if shape.layers > 1:
        fewer = shape.layers // 2
        trials.append(cut(f"{fewer} of {whole}", replace(shape, layers=fewer)))
        pairs.append((trials[0].name, trials[-1].name))
    # What being taught by itself gives, without which healing would look better than it is.
    trials.append(Trial(f"{whole}, taught by itself", shape, teachers=(whole,), distillation=heal))
    return trials, [*pairs, (trials[0].name, trials[-1].name)]
