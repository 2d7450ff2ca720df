"""Models of each kind as their training begins: from options, or from a teacher's weights."""

import copy
from dataclasses import fields, replace

import peft
import torch
from torch import Tensor

from slmrec.data import Dataset
from slmrec.errors import UserError
from slmrec.evaluation import layer_roles, unit_importance
from slmrec.models import (
    BERT4Rec,
    Caser,
    Classic,
    ESASRec,
    GRU4Rec,
    Residual,
    SASRec,
    SLMRec,
    SLMRecConfig,
)
from slmrec.models.backbone import load_pretrained
from slmrec.models.items import ItemTable
from slmrec.models.text import text_vectors
from slmrec.models.width import widths
from slmrec.training.options import (
    BERT4RecOptions,
    CaserOptions,
    ClassicOptions,
    ESASRecOptions,
    GRU4RecOptions,
    LLMOptions,
    SASRecOptions,
    StudentOptions,
)
from slmrec.training.trainer import Progress

CLASSIC: dict[type[ClassicOptions], type[Classic]] = {
    GRU4RecOptions: GRU4Rec,
    CaserOptions: Caser,
    BERT4RecOptions: BERT4Rec,
    SASRecOptions: SASRec,
    ESASRecOptions: ESASRec,
}
"""What each classic neural model's options make."""


def classic_text(data: Dataset, options: ClassicOptions, progress: Progress | None = None) -> Tensor | None:
    """(N, e) text vectors of the items, where the model is to have them."""
    return text_vectors(data.catalogue, options.item_text, progress) if options.item_text else None


def build_classic(data: Dataset, options: ClassicOptions, text: Tensor | None) -> Classic:
    """A classic neural model to be trained."""
    names = [f.name for f in fields(options) if f.name not in ("item_text", "training")]
    shape = {name: getattr(options, name) for name in names}
    text_dim = 0 if text is None else text.shape[1]
    cls = CLASSIC[type(options)]
    model = cls(cls.config_class(num_items=data.num_items, text_dim=text_dim, text_source=options.item_text, **shape))
    if text is not None:
        model.items.describe(text, torch.from_numpy(data.item_counts()[1:] > 0))
    return model


def student_shape(teacher: SLMRec, student: StudentOptions) -> LLMOptions:
    """The student's options as those of an LLM recommender of its own: what it shares is read off the teacher."""
    shared = ("max_length", "reading", "prompt_before", "prompt_after", "item_titles")
    own = {name: getattr(student, name) for name in StudentOptions.__dataclass_fields__}
    width = 0 if teacher.config.pretrained else teacher.output_adapter.in_features
    return LLMOptions(
        backbone=teacher.config.backbone_name,
        pretrained=teacher.config.pretrained,
        **{name: getattr(teacher.config, name) for name in shared},
        **own | {"width": student.width or width},
    )


def build_from(teacher: SLMRec, data: Dataset, options: LLMOptions) -> SLMRec:
    """Some of the teacher's layers, as narrow as asked, with its adapters and items, to be trained on.

    Raises:
        UserError: more layers than the teacher's, or a decoder whose width cannot be taken from.
    """
    if options.layers > teacher.num_layers:
        raise UserError(
            f"the student has {options.layers} layers, the teacher {teacher.num_layers}: a student that starts from "
            "its teacher cannot be deeper"
        )
    by, count = options.layers_by, options.layers
    model = teacher.with_layers(layer_roles(teacher, data, "train").best(count, by) if by else range(count))
    if options.neurons or options.head_groups:
        own = widths(model.backbone.config)
        for name, given, number in (
            ("neurons", options.neurons, own.neurons),
            ("head_groups", options.head_groups, own.groups),
        ):
            if given > number:
                raise UserError(f"{name} is {given}, but a layer of the teacher has {number}")
        kept = unit_importance(model, data).best(options.neurons or own.neurons, options.head_groups or own.groups)
        model = model.with_width(*kept)
    model.config.dropout = model.dropout.p = options.dropout
    model.config.item_dropout = model.items.dropout.p = options.item_dropout
    if options.lora:
        model.config.lora = options.lora
        peft.inject_adapter_in_model(peft.LoraConfig(**options.lora), model.backbone)
    model.choose_trained(items=options.train_items)
    if options.gradient_checkpointing:
        model.checkpoint_layers()
    return model


def build_llm(data: Dataset, options: LLMOptions, items: ItemTable | None) -> SLMRec:
    """An LLM recommender to be trained, its frozen parts frozen.

    Raises:
        UserError: an item table of other items, titles of items that have none, or a narrower decoder, which needs a
            teacher to be cut from.
    """
    if options.residual:
        raise UserError(
            f"residual is '{options.residual}', but only the llm itself is trained here; take slmrec train llm with "
            "the classic model as --item-table"
        )
    options.check_start("pretrained")
    if items is None:
        items = ItemTable.of(torch.randn(data.num_items, 64) * 0.02)
    elif items.num_embeddings != data.num_items + 1:
        raise UserError(
            f"the item table has {items.num_embeddings - 1} rows, the data set {data.num_items} items; "
            "both must come from one data set"
        )
    prompts = (options.prompt_before, options.prompt_after)
    titles = item_titles(data) if options.item_titles else None
    own = options.pretrained and not options.width
    pretrained = load_pretrained(
        options.backbone, options.layers, prompts, weights=own, width=options.width, titles=titles
    )
    config = SLMRecConfig(
        backbone_name=options.backbone,
        pretrained=own,
        reading=options.reading,
        prompt_before=options.prompt_before,
        prompt_after=options.prompt_after,
        max_length=options.max_length,
        dropout=options.dropout,
        item_dropout=options.item_dropout,
        lora=options.lora,
    )
    model = SLMRec.from_backbone(pretrained, items, config)
    model.catalogue = data.catalogue
    model.choose_trained(items=options.train_items)
    if options.gradient_checkpointing:
        model.checkpoint_layers()
    return model


def item_titles(data: Dataset) -> list[str]:
    """Each item's title, empty where it has none.

    Raises:
        UserError: no item has one.
    """
    titles = data.catalogue.frame["text"].fill_null("").to_list()
    if not any(titles):
        raise UserError(
            f"no item of {data.name} has a text, which item_titles reads; prepare it with items' texts, or turn "
            "item_titles off"
        )
    return titles


def build_residual(data: Dataset, options: LLMOptions, classic: Classic) -> Residual:
    """A copy of a trained classic model and an LLM beside it, to be trained."""
    llm = build_llm(data, replace(options, residual=""), classic.items)
    classic = copy.deepcopy(classic)
    return Residual.of(classic, llm, train_classic=options.residual == "trained")
