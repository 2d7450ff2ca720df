"""Is a moving average of a training's weights better than the weights of its best epoch?

LLMs are left out: the recipes' learning rate falls to nothing for them, which does the same.
"""

from dataclasses import replace

from slmrec.recipe import Recipe
from slmrec.studies.plan import Study, Trial
from slmrec.studies.students import by_ids, with_text
from slmrec.training.options import SASRecOptions

EPOCHS = 1.0
"""Over which weights are averaged, of some twenty that a SASRec trains for."""


def study(recipe: Recipe) -> Study:
    """The same trainings with and without; averaging changes nothing but what is validated and kept."""
    ids, text = by_ids(recipe.sasrec), with_text(recipe.sasrec)
    trials = [
        Trial("SASRec", ids),
        Trial("SASRec, averaged", _averaged(ids)),
        Trial("SASRec + text", text),
        Trial("SASRec + text, averaged", _averaged(text)),
    ]
    pairs = [(f"{kind}, averaged", kind) for kind in ("SASRec", "SASRec + text")]
    pairs.append(("SASRec + text, averaged", "SASRec, averaged"))
    question = "Is a moving average of a training's weights better than the weights of its best epoch?"
    return Study("averaging", question, trials, [], pairs)


def _averaged(options: SASRecOptions) -> SASRecOptions:
    return replace(options, training=replace(options.training, average_epochs=EPOCHS))
