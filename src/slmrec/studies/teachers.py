"""Is a deeper teacher a better one, and how shallow may its student be? The paper finds 32 layers worse than 8.

Where the recipe's blocks do not divide both depths, there are fewer: a student of 4 follows one of 30 in two.
"""

from dataclasses import replace

from slmrec.models.backbone import check_backbone
from slmrec.recipe import Recipe
from slmrec.studies.plan import Study, Trial

TEACHERS = (8, 16, 30)
STUDENTS = (1, 2, 4, 8)


def study(recipe: Recipe) -> Study:
    """The recipe's student under teachers of several depths, and students of several depths under its teacher."""
    available = check_backbone(recipe.teacher.backbone, None).num_hidden_layers
    depths = sorted({recipe.teacher.layers, *(depth for depth in TEACHERS if depth <= available)})
    trials = [Trial("SASRec", recipe.sasrec)]
    taught, axis = [], {}
    for depth in depths:
        teacher = f"teacher of {depth}"
        trials.append(Trial(teacher, replace(recipe.teacher, layers=depth), items="SASRec"))
        taught.append((depth, recipe.student.layers))
    taught += [(recipe.teacher.layers, layers) for layers in STUDENTS if layers <= recipe.teacher.layers]
    for depth, layers in dict.fromkeys(taught):
        blocks = max(b for b in range(1, recipe.distillation.blocks + 1) if not depth % b and not layers % b)
        loss = replace(recipe.distillation, form="paper", blocks=blocks)
        student = replace(recipe.student, layers=layers)
        name = f"{layers} taught by {depth}"
        trials.append(Trial(name, student, items="SASRec", teachers=(f"teacher of {depth}",), distillation=loss))
        axis[name] = float(depth)
    base = f"{recipe.student.layers} taught by {recipe.teacher.layers}"
    pairs = [(name, base) for name in axis if name != base]
    pairs += [(f"{layers} taught by {depth}", f"teacher of {depth}") for depth, layers in dict.fromkeys(taught)]
    question = "Does a deeper teacher teach better, and what does a shallower student lose?"
    return Study("teachers", question, trials, (), pairs, axis, "layers of the teacher")
