"""Which model is best: classic ones with and without items' text, LLM recommenders, and students of them together.

The controls stand beside every claim: the same SASRec taught by other SASRecs alone, and the ensembles themselves.
"""

from dataclasses import replace

from slmrec.recipe import Recipe
from slmrec.studies.plan import Look, Study, Trial
from slmrec.studies.students import by_scores, student_alone, with_text
from slmrec.training.options import ClassicOptions, ItemKNNOptions

SASRECS = ("SASRec + text@0", "SASRec + text@1", "SASRec + text@2")

NEWEST = 3
"""Events of a user who has just come."""


def study(recipe: Recipe) -> Study:
    """Every kind of model on one protocol."""
    scores = by_scores(recipe)
    llm = student_alone(recipe)
    together = (*SASRECS, "LLM + text@0")
    classic: dict[str, ClassicOptions | ItemKNNOptions] = {
        "item-kNN": recipe.item_knn,
        "GRU4Rec": recipe.gru4rec,
        "Caser": recipe.caser,
        "BERT4Rec": recipe.bert4rec,
        "SASRec": recipe.sasrec,
        "eSASRec": recipe.esasrec,
    }
    text: dict[str, ClassicOptions] = {
        "GRU4Rec + text": recipe.gru4rec,
        "SASRec + text": recipe.sasrec,
        "eSASRec + text": recipe.esasrec,
    }
    sampled = replace(recipe.sasrec, training=replace(recipe.sasrec.training, loss="sampled-softmax", negatives=2048))
    trials = [
        Trial("popularity"),
        *(Trial(name, options) for name, options in classic.items()),
        Trial("SASRec, sampled softmax", sampled),
        *(Trial(name, with_text(options)) for name, options in text.items()),
        Trial("LLM + text", llm, items="SASRec + text"),
        Trial("SASRec taught by SASRecs", with_text(recipe.sasrec), teachers=SASRECS, distillation=scores),
        Trial("SASRec taught by all", with_text(recipe.sasrec), teachers=together, distillation=scores),
        Trial("LLM taught by SASRecs", llm, items="SASRec + text@0", teachers=SASRECS, distillation=scores),
        Trial("LLM taught by all", llm, items="SASRec + text@0", teachers=together, distillation=scores),
    ]
    looks = [
        Look("three SASRecs + text together", SASRECS),
        Look("three SASRecs + text and the LLM together", together),
    ]
    newcomers = ("SASRec + text", "LLM + text", "SASRec taught by SASRecs", "SASRec taught by all", "LLM taught by all")
    looks += [Look(f"{name}, newest {NEWEST}", (name,), newest=NEWEST) for name in newcomers]
    best = "SASRec + text"
    pairs = [
        ("SASRec + text", "SASRec"),
        ("LLM + text", best),
        ("SASRec taught by SASRecs", best),
        ("SASRec taught by all", best),
        ("LLM taught by SASRecs", best),
        ("LLM taught by all", best),
        ("LLM taught by all", "LLM + text"),
        ("SASRec taught by all", "SASRec taught by SASRecs"),
        ("LLM taught by all", "SASRec taught by all"),
        ("LLM taught by all", "SASRec taught by SASRecs"),
        ("LLM taught by SASRecs", "SASRec taught by SASRecs"),
        ("SASRec taught by all", "three SASRecs + text and the LLM together"),
        ("LLM taught by all", "three SASRecs + text and the LLM together"),
    ]
    pairs += [(f"{name}, newest {NEWEST}", f"{best}, newest {NEWEST}") for name in newcomers if name != best]
    question = "Which model is best, and what does a language model give that classic models taught alike do not?"
    return Study("models", question, trials, looks, pairs)
