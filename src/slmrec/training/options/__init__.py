"""What can be chosen of models and their training: frozen dataclasses, the only home of these defaults."""

from slmrec.training.options.chosen import chosen
from slmrec.training.options.classic import (
    BERT4RecOptions,
    CaserOptions,
    ClassicOptions,
    ESASRecOptions,
    GRU4RecOptions,
    SASRecOptions,
    TransformerOptions,
)
from slmrec.training.options.distillation import DistillationOptions, EnsembleOptions, block_ends
from slmrec.training.options.llm import LLMOptions, StudentOptions
from slmrec.training.options.neighbours import ItemKNNOptions, NeighboursOptions, SequentialRulesOptions, TextKNNOptions
from slmrec.training.options.training import PATIENT_EPOCHS, TrainingOptions

__all__ = [
    "PATIENT_EPOCHS",
    "BERT4RecOptions",
    "CaserOptions",
    "ClassicOptions",
    "DistillationOptions",
    "ESASRecOptions",
    "EnsembleOptions",
    "GRU4RecOptions",
    "ItemKNNOptions",
    "LLMOptions",
    "NeighboursOptions",
    "SASRecOptions",
    "SequentialRulesOptions",
    "StudentOptions",
    "TextKNNOptions",
    "TrainingOptions",
    "TransformerOptions",
    "block_ends",
    "chosen",
]
