"""New users, rare items, little data: where does a language model or text help?"""

from dataclasses import replace

from slmrec.recipe import Recipe
from slmrec.studies.plan import Look, Study, Trial
from slmrec.studies.students import by_ids, student_alone, with_text

NEWEST = (1, 2, 3, 5, 10)
SHARES = (0.1, 0.25, 0.5)
ID_DROPOUT = 0.2


def study(recipe: Recipe) -> Study:
    """Histories cut to their newest events, items by how often training saw them, and training on fewer users."""
    text = with_text(recipe.sasrec)
    kinds = {
        "SASRec": Trial("SASRec", by_ids(recipe.sasrec)),
        "SASRec + text": Trial("SASRec + text", text),
        "SASRec + text, id dropout": Trial("SASRec + text, id dropout", replace(text, id_dropout=ID_DROPOUT)),
        "LLM + text": Trial("LLM + text", student_alone(recipe), items="SASRec + text"),
        "LLM + text, titles": Trial(
            "LLM + text, titles", replace(student_alone(recipe), item_titles=True), items="SASRec + text"
        ),
    }
    trials = list(kinds.values())
    for share in SHARES:
        for name in ("SASRec", "SASRec + text"):
            trials.append(replace(kinds[name], name=f"{name}, {share:.0%} of users", users=share))
        fewer = f"SASRec + text, {share:.0%} of users"
        trials.append(replace(kinds["LLM + text"], name=f"LLM + text, {share:.0%} of users", users=share, items=fewer))
    looks = [Look(f"{name}, newest {n}", (name,), newest=n) for n in NEWEST for name in kinds]
    pairs = [
        ("SASRec + text", "SASRec"),
        ("SASRec + text, id dropout", "SASRec + text"),
        ("LLM + text", "SASRec + text"),
        ("LLM + text, titles", "LLM + text"),
        ("LLM + text, titles", "SASRec + text"),
    ]
    pairs += [(f"LLM + text, newest {n}", f"SASRec + text, newest {n}") for n in NEWEST]
    pairs += [(f"LLM + text, {share:.0%} of users", f"SASRec + text, {share:.0%} of users") for share in SHARES]
    axis = {look.name: float(look.newest or 0) for look in looks}
    question = "How good are the models for users with few events, for rare items, and trained on few users?"
    return Study("cold-start", question, trials, looks, pairs, axis, "newest events given")
