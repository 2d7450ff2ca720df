"""What the language model itself gives: its weights against random ones, and against a classic model of equal cost."""

from dataclasses import replace

from slmrec.engine.decoder import FUSED
from slmrec.models.backbone import check_backbone
from slmrec.recipe import Recipe
from slmrec.studies.plan import Study, Trial
from slmrec.studies.students import CLASSICS, by_scores, student_alone, taught_sasrec, with_text

WIDTH = 128
"""Hidden width of a decoder that is no language model's; SmolLM2-135M's is 576."""


def study(recipe: Recipe) -> Study:
    """The student's shape with the language model's weights and with random ones, over the same item table.

    Fed by vectors alone, a language model meets none of the words that it knows; so there are both with titles too. And
    there are both as students of classic models by their scores, over items with text. Random weights may want larger
    steps than pretrained ones, so there they also have the rate of all other weights. Where weights are random, their
    shape need not be a language model's: there is a narrower one, too, in twice the epochs, which still take less time.
    A SASRec as deep tells what depth alone gives.
    """
    shape = student_alone(recipe)
    scratch = replace(shape, pretrained=False)
    full_rate = replace(scratch, training=replace(scratch.training, backbone_learning_rate=None))
    scores, classic = by_scores(recipe), taught_sasrec(recipe)
    students = {
        "pretrained, taught": shape,
        "random weights, taught": scratch,
        "random weights at full rate, taught": full_rate,
    }
    if check_backbone(shape.backbone, None).model_type in FUSED:
        longer = replace(full_rate.training, epochs=2 * full_rate.training.epochs)
        students["narrower, taught"] = replace(full_rate, width=WIDTH, training=longer)
    added = replace(shape, residual="frozen", max_length=recipe.sasrec.max_length)
    trials = [
        Trial("SASRec", recipe.sasrec),
        Trial("pretrained", shape, items="SASRec"),
        Trial("random weights", scratch, items="SASRec"),
        Trial("pretrained, random items", shape),
        Trial("random weights, random items", scratch),
        Trial("pretrained, one layer", replace(shape, layers=1), items="SASRec"),
        Trial("random weights, one layer", replace(scratch, layers=1), items="SASRec"),
        Trial("pretrained, added to SASRec", added, items="SASRec"),
        Trial("random weights, added to SASRec", replace(added, pretrained=False), items="SASRec"),
        Trial("pretrained, titles", replace(shape, item_titles=True), items="SASRec"),
        Trial("random weights, titles", replace(scratch, item_titles=True), items="SASRec"),
        Trial("SASRec + text", with_text(recipe.sasrec)),
        Trial("sequential rules", recipe.sequential_rules),
        Trial("text-kNN", recipe.text_knn),
        Trial("SASRec, taught", classic, teachers=CLASSICS, distillation=scores),
        Trial(
            "SASRec as deep, taught", replace(classic, num_blocks=shape.layers), teachers=CLASSICS, distillation=scores
        ),
        *(
            Trial(name, options, items="SASRec + text@0", teachers=CLASSICS, distillation=scores)
            for name, options in students.items()
        ),
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
        *(("pretrained, taught", name) for name in list(students)[1:]),
        ("SASRec as deep, taught", "SASRec, taught"),
        *(
            (name, other)
            for name in students
            for other in ("SASRec, taught", "SASRec as deep, taught", "SASRec + text")
        ),
    ]
    return Study("pretraining", "What do the language model's own weights give?", trials, (), pairs)
