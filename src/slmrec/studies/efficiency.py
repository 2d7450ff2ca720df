"""What every kind of model costs: parameters held, training, inference; beside the paper's table of efficiency.

Nothing is trained to its end: time and size are those of a trained model.
"""

from dataclasses import replace

from slmrec.models.backbone import check_backbone
from slmrec.recipe import Recipe
from slmrec.studies.plan import Study, Trial
from slmrec.studies.students import by_ids, student_alone

DEPTHS = (1, 2, 4)


def study(recipe: Recipe) -> Study:
    """Classic models, students of several depths, the teacher, and the whole backbone, against which all are told."""
    available = check_backbone(recipe.teacher.backbone, None).num_hidden_layers
    shape = student_alone(recipe)
    depths = sorted({depth for depth in (*DEPTHS, shape.layers) if depth <= available})
    whole = f"LLM, all {available} layers"
    distilled = f"LLM, {recipe.student.layers} layers, distilled from {recipe.teacher.layers}"
    trials = [
        Trial("popularity"),
        Trial("item-kNN", recipe.item_knn),
        Trial("GRU4Rec", by_ids(recipe.gru4rec)),
        Trial("Caser", by_ids(recipe.caser)),
        Trial("BERT4Rec", by_ids(recipe.bert4rec)),
        Trial("SASRec", recipe.sasrec),
        Trial("eSASRec", by_ids(recipe.esasrec)),
    ]
    trials += [Trial(f"LLM, {depth} layers", replace(shape, layers=depth), items="SASRec") for depth in depths]
    teacher = f"LLM, {recipe.teacher.layers} layers, as teacher"
    trials.append(Trial(teacher, recipe.teacher, items="SASRec"))
    trials.append(
        Trial(
            distilled,
            recipe.student,
            items="SASRec",
            teachers=(teacher,),
            distillation=replace(recipe.distillation, form="paper", online=False),
        )
    )
    trials.append(Trial(whole, replace(recipe.teacher, layers=available), items="SASRec"))
    others = [trial.name for trial in trials if trial.name not in (distilled, whole)]
    # The first pair is the paper's own: its student beside the whole language model.
    pairs = [(name, whole) for name in (distilled, *others)]
    return Study("efficiency", "What does each kind of model cost?", trials, (), pairs, timed=True)
