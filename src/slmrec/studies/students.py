"""Pieces that several studies are built from."""

from dataclasses import replace
from typing import TypeVar

from slmrec.recipe import Recipe
from slmrec.training.options import ClassicOptions, DistillationOptions, LLMOptions, SASRecOptions

Classic = TypeVar("Classic", bound=ClassicOptions)
TEXT = "minilm-l6"
"""The packaged sentence encoder."""
BLOCKS = (1, 2, 4, 8)
SASRECS = ("SASRec + text@0", "SASRec + text@1", "SASRec + text@2")
CLASSICS = (*SASRECS, "sequential rules@0", "text-kNN@0")
"""Teachers of a student by scores, whatever its own seed: so the spread over seeds is the students' alone."""


def with_text(options: Classic) -> Classic:
    """A classic model whose items have their text beside their ids, by the recipe's encoder or the packaged one."""
    return replace(options, item_text=options.item_text or TEXT)


def by_ids(options: Classic) -> Classic:
    """A classic model whose items have ids alone."""
    return replace(options, item_text="", id_dropout=0.0)


def taught_sasrec(recipe: Recipe) -> SASRecOptions:
    """The recipe's SASRec with text, as a student of scores."""
    return with_text(recipe.taught_sasrec())


def student_alone(recipe: Recipe) -> LLMOptions:
    """The recipe's student as an LLM recommender of its own, trained by cross-entropy alone."""
    return recipe.student.beside(recipe.teacher)


def by_scores(recipe: Recipe) -> DistillationOptions:
    """Distillation by scores with the recipe's weights."""
    return replace(recipe.distillation, form="scores")
