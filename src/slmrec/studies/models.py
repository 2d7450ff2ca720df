"""Which model is best: classic ones with and without items' text, LLM recommenders, and students of them together.

The controls stand beside every claim: the same SASRec taught without any language model, and the ensembles themselves.
Students of every seed have the same teachers, so their spread is the students' alone.
"""

from dataclasses import replace

from slmrec.recipe import Recipe
from slmrec.studies.plan import Look, Study, Trial
from slmrec.studies.students import CLASSICS, SASRECS, by_ids, by_scores, student_alone, taught_sasrec, with_text
from slmrec.training.options import ClassicOptions, NeighboursOptions

ALL = (*CLASSICS, "LLM + text@0")
NEIGHBOURS = ("sequential rules@0", "item-kNN@0", "text-kNN@0")
"""What trains nothing."""
COPIES = 2
"""Of each training sequence, where a student is taught histories that no user had."""
NEWEST = 3
"""Events of a user who has just come."""


def study(recipe: Recipe) -> Study:
    """Every kind of model on one protocol."""
    scores = by_scores(recipe)
    more = replace(scores, augmented=COPIES)
    modern = replace(with_text(recipe.esasrec), dropout=recipe.ensemble.taught_dropout)
    llm = student_alone(recipe)
    longer = replace(llm, training=replace(llm.training, epochs=2 * llm.training.epochs))
    classic: dict[str, ClassicOptions | NeighboursOptions] = {
        "item-kNN": recipe.item_knn,
        "sequential rules": recipe.sequential_rules,
        "text-kNN": recipe.text_knn,
        "GRU4Rec": by_ids(recipe.gru4rec),
        "Caser": by_ids(recipe.caser),
        "BERT4Rec": by_ids(recipe.bert4rec),
        "SASRec": by_ids(recipe.sasrec),
        "eSASRec": by_ids(recipe.esasrec),
    }
    text: dict[str, ClassicOptions] = {
        "GRU4Rec + text": recipe.gru4rec,
        "SASRec + text": recipe.sasrec,
        "eSASRec + text": recipe.esasrec,
    }
    sampled = replace(
        by_ids(recipe.sasrec), training=replace(recipe.sasrec.training, loss="sampled-softmax", negatives=2048)
    )
    trials = [
        Trial("popularity"),
        *(Trial(name, options) for name, options in classic.items()),
        Trial("SASRec, sampled softmax", sampled),
        *(Trial(name, with_text(options)) for name, options in text.items()),
        Trial("LLM + text", llm, items="SASRec + text"),
        Trial("LLM + text, longer", longer, items="SASRec + text"),
        Trial("SASRec taught by SASRecs", taught_sasrec(recipe), teachers=SASRECS, distillation=scores),
        Trial("SASRec taught by classics", taught_sasrec(recipe), teachers=CLASSICS, distillation=scores),
        Trial("SASRec taught by all", taught_sasrec(recipe), teachers=ALL, distillation=scores),
        Trial("eSASRec taught by all", modern, teachers=ALL, distillation=scores),
        Trial("SASRec taught by classics, augmented", taught_sasrec(recipe), teachers=CLASSICS, distillation=more),
        Trial("LLM taught by classics", llm, items="SASRec + text@0", teachers=CLASSICS, distillation=scores),
        Trial(
            "LLM taught by classics, longer", longer, items="SASRec + text@0", teachers=CLASSICS, distillation=scores
        ),
        Trial("LLM taught by all", llm, items="SASRec + text@0", teachers=ALL, distillation=scores),
        Trial("LLM taught by all, longer", longer, items="SASRec + text@0", teachers=ALL, distillation=scores),
    ]
    ensembles = {
        "ensemble of the SASRecs": SASRECS,
        "ensemble of the classics": CLASSICS,
        "ensemble of all": ALL,
        "ensemble of all and other classics": (*ALL, "GRU4Rec + text@0", "eSASRec + text@0"),
    }
    looks = [Look(name, of, weighed=scores.weigh_teachers) for name, of in ensembles.items()]  # as they teach
    best = "SASRec + text"
    newcomers = (
        best,
        "LLM + text",
        "SASRec taught by classics",
        "SASRec taught by all",
        "LLM taught by classics",
        "LLM taught by classics, longer",
        "LLM taught by all",
        "LLM taught by all, longer",
    )
    looks += [Look(f"{name}, newest {NEWEST}", (name,), newest=NEWEST) for name in newcomers]
    beside = (
        "SASRec",
        best,
        "eSASRec + text",
        "LLM + text",
        "SASRec taught by classics",
        "SASRec taught by all",
        "LLM taught by classics",
        "LLM taught by classics, longer",
        "LLM taught by all",
        "LLM taught by all, longer",
    )
    looks += [Look(f"{name}, with neighbours", (name, *NEIGHBOURS), weighed=True) for name in beside]
    pairs = [
        ("SASRec + text", "SASRec"),
        ("GRU4Rec + text", best),
        ("eSASRec + text", best),
        ("LLM + text", best),
        ("SASRec taught by SASRecs", best),
        ("SASRec taught by classics", best),
        ("SASRec taught by all", best),
        ("LLM taught by classics", best),
        ("LLM taught by classics, longer", best),
        ("LLM taught by all", best),
        ("LLM taught by all, longer", best),
        ("SASRec taught by classics", "eSASRec + text"),
        ("SASRec taught by all", "eSASRec + text"),
        ("eSASRec taught by all", "eSASRec + text"),
        ("eSASRec taught by all", best),
        ("eSASRec taught by all", "SASRec taught by all"),
        ("LLM taught by all, longer", "eSASRec taught by all"),
        ("LLM taught by all", "eSASRec + text"),
        ("LLM taught by all, longer", "eSASRec + text"),
        ("LLM taught by classics", "LLM + text"),
        ("LLM taught by all", "LLM + text"),
        ("LLM taught by all, longer", "LLM + text"),
        ("LLM taught by all, longer", "LLM + text, longer"),
        ("LLM taught by classics", "SASRec taught by classics"),
        ("LLM taught by classics, longer", "SASRec taught by classics"),
        ("LLM taught by classics, longer", "LLM taught by classics"),
        ("LLM taught by all", "SASRec taught by all"),
        ("LLM taught by all", "SASRec taught by SASRecs"),
        ("SASRec taught by all", "SASRec taught by classics"),
        ("SASRec taught by classics, augmented", "SASRec taught by classics"),
        ("LLM taught by all, longer", "LLM taught by all"),
        ("LLM taught by all, longer", "SASRec taught by all"),
        ("LLM taught by all, longer", "SASRec taught by SASRecs"),
        ("SASRec taught by classics", "ensemble of the classics"),
        ("LLM taught by classics", "ensemble of the classics"),
        ("LLM taught by classics, longer", "ensemble of the classics"),
        ("SASRec taught by all", "ensemble of all"),
        ("LLM taught by all", "ensemble of all"),
        ("LLM taught by all, longer", "ensemble of all"),
    ]
    pairs += [(f"{name}, newest {NEWEST}", f"{best}, newest {NEWEST}") for name in newcomers if name != best]
    pairs += [(f"{name}, with neighbours", name) for name in beside]
    pairs += [(f"{name}, with neighbours", best) for name in beside[2:]]
    alone = "eSASRec + text"  # the best classic model by itself
    pairs += [(f"{name}, with neighbours", alone) for name in beside if name != alone]
    pairs += [(f"{name}, with neighbours", f"{best}, with neighbours") for name in beside[2:]]
    question = "Which model is best, and what does a language model give that classic models taught alike do not?"
    return Study("models", question, trials, looks, pairs)
