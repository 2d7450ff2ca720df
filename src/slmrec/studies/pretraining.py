"""What the language model itself gives: its weights against random ones, and against a classic model of equal cost."""

from dataclasses import replace

from slmrec.recipe import Recipe
from slmrec.studies.plan import Study, Trial
from slmrec.studies.students import student_alone


def study(recipe: Recipe) -> Study:
    """The student's shape with the language model's weights and with random ones, over the same item table.

    Fed by vectors alone, a language model meets none of the words that it knows; so there are both with titles too.
    """
    shape = student_alone(recipe)
    added = replace(shape, residual="frozen", max_length=recipe.sasrec.max_length)
    trials = [
        Trial("SASRec", recipe.sasrec),
        Trial("pretrained", shape, items="SASRec"),
        Trial("random weights", replace(shape, pretrained=False), items="SASRec"),
        Trial("pretrained, random items", shape),
        Trial("random weights, random items", replace(shape, pretrained=False)),
        Trial("pretrained, one layer", replace(shape, layers=1), items="SASRec"),
        Trial("random weights, one layer", replace(shape, layers=1, pretrained=False), items="SASRec"),
        Trial("pretrained, added to SASRec", added, items="SASRec"),
        Trial("random weights, added to SASRec", replace(added, pretrained=False), items="SASRec"),
        Trial("pretrained, titles", replace(shape, item_titles=True), items="SASRec"),
        Trial("random weights, titles", replace(shape, item_titles=True, pretrained=False), items="SASRec"),
    ]
    pairs = [
        ("pretrained", "random weights"),
        ("pretrained, titles", "random weights, titles"),
        ("pretrained, titles", "pretrained"),
        ("pretrained, titles", "SASRec"),
        ("pretrained, added to SASRec", "SASRec"),
        ("pretrained, added to SASRec", "pretrained"),
        ("pretrained, added to SASRec", "random weights, added to SASRec"),
        ("pretrained, random items", "random weights, random items"),
        ("pretrained, one layer", "random weights, one layer"),
        ("pretrained", "pretrained, random items"),
        ("pretrained", "SASRec"),
        ("random weights", "SASRec"),
    ]
    return Study("pretraining", "What do the language model's own weights give?", trials, (), pairs)
