"""Into how many blocks teacher and student are best cut; the paper finds four."""

from dataclasses import replace

from slmrec.recipe import Recipe
from slmrec.studies.plan import Study, Trial
from slmrec.studies.students import BLOCKS, student_alone


def study(recipe: Recipe) -> Study:
    """Every number of blocks that both depths divide into."""
    alone = "cross-entropy alone"
    trials = [
        Trial("SASRec", recipe.sasrec),
        Trial("teacher", recipe.teacher, items="SASRec"),
        Trial(alone, student_alone(recipe), items="SASRec"),
    ]
    fitting = [b for b in BLOCKS if not recipe.teacher.layers % b and not recipe.student.layers % b]
    for blocks in fitting:
        loss = replace(recipe.distillation, form="paper", blocks=blocks)
        name = f"{blocks} block{'s' if blocks > 1 else ''}"
        trials.append(Trial(name, recipe.student, items="SASRec", teachers=("teacher",), distillation=loss))
    names = [trial.name for trial in trials[3:]]
    pairs = [(name, alone) for name in names] + [(names[-1], name) for name in names[:-1]]
    axis = {name: float(blocks) for name, blocks in zip(names, fitting, strict=True)}
    return Study("blocks", "Into how many blocks are teacher and student best cut?", trials, (), pairs, axis, "blocks")
