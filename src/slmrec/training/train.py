"""Train each kind of model into a folder; a run that was cut off goes on where it was."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import transformers

from slmrec.data import Dataset
from slmrec.data.batches import Example, Supervise, training_examples
from slmrec.data.description import in_a_sentence
from slmrec.errors import UserError
from slmrec.files import check_replaceable, read_json, write_json
from slmrec.models import (
    Classic,
    DotProductRecommender,
    Ensemble,
    Recommender,
    Residual,
    SLMRec,
)
from slmrec.models.folder import fingerprint
from slmrec.models.items import ItemTable
from slmrec.training.augmentation import augmented
from slmrec.training.build import (
    build_classic,
    build_from,
    build_llm,
    build_residual,
    classic_text,
    student_shape,
)
from slmrec.training.counting import train_neighbours, train_popularity
from slmrec.training.distillation import Distillation, OnlineDistillation, check_catalogue, check_pair
from slmrec.training.ensemble_weights import ensemble_weights
from slmrec.training.kept import TaughtExamples, expected_epochs, keeping_pays
from slmrec.training.modules import NextItem, TrainingModule, training_module
from slmrec.training.options import (
    BERT4RecOptions,
    ClassicOptions,
    DistillationOptions,
    LLMOptions,
    NeighboursOptions,
    StudentOptions,
    TrainingOptions,
    block_ends,
    chosen,
)
from slmrec.training.processes import exclusively, processes_here
from slmrec.training.score_distillation import ScoreDistillation, check_teachers, teacher_scores
from slmrec.training.teacher_states import teacher_states
from slmrec.training.trainer import Progress, fit


@exclusively
def train_classic(data: Dataset, options: ClassicOptions, out: Path, progress: Progress | None = None) -> Classic:
    """Train a classic neural model, the one that the options are of, into a model folder."""
    text = classic_text(data, options, progress)
    model = _train(
        lambda: training_module(build_classic(data, options, text), options.training),
        data,
        options,
        options.training,
        out,
        "every-position",
        progress,
    )
    assert isinstance(model, Classic)
    return model


@exclusively
def train_llm(
    data: Dataset,
    options: LLMOptions,
    out: Path,
    items: ItemTable | None = None,
    progress: Progress | None = None,
) -> SLMRec:
    """Train an LLM recommender by cross-entropy into a model folder.

    Args:
        data: the data set.
        options: shape and training.
        out: model folder.
        items: a classic model's item table to start from; None starts from random vectors of width 64.
        progress: told after every step.
    """
    model = _train(
        lambda: NextItem(build_llm(data, options, items), options.training),
        data,
        {"model": asdict(options), "items": items and fingerprint(items)},
        options.training,
        out,
        _supervision(options.reading),
        progress,
    )
    assert isinstance(model, SLMRec)
    return model


@exclusively
def train_residual(
    data: Dataset, options: LLMOptions, out: Path, classic: Classic, progress: Progress | None = None
) -> Residual:
    """Train an LLM beside a classic model, which it adds to, into a model folder.

    Args:
        data: the data set.
        options: shape and training, with `residual`.
        out: model folder.
        classic: the trained model; the LLM's item table starts from its own. What is trained is a copy.
        progress: told after every step.

    Raises:
        UserError: models that cannot be added, see `Residual.of`.
    """
    model = _train(
        lambda: NextItem(build_residual(data, options, classic), options.training),
        data,
        {"model": asdict(options), "classic": fingerprint(classic)},
        options.training,
        out,
        "every-position",
        progress,
    )
    assert isinstance(model, Residual)
    return model


def train(
    data: Dataset,
    options: ClassicOptions | NeighboursOptions | LLMOptions | None,
    out: Path,
    items: ItemTable | Classic | None = None,
    progress: Progress | None = None,
) -> Recommender:
    """Train a model of the kind that its options are of; None: popularity.

    Args:
        data: the data set.
        options: shape and training.
        out: model folder.
        items: where an LLM recommender's item table starts, or the classic model itself that a residual one adds to;
            the others start their own.
        progress: told after every step.

    Raises:
        UserError: a residual LLM without a classic model.
    """
    match options:
        case None:
            return train_popularity(data, out)
        case NeighboursOptions():
            return train_neighbours(data, options, out, progress)
        case LLMOptions(residual=""):
            return train_llm(data, options, out, _table(items), progress)
        case LLMOptions():
            return train_residual(data, options, out, _classic(items), progress)
        case _:
            return train_classic(data, options, out, progress)


@exclusively
def distill(
    teacher: SLMRec,
    data: Dataset,
    out: Path,
    student: StudentOptions | None = None,
    distillation: DistillationOptions | None = None,
    items: ItemTable | None = None,
    progress: Progress | None = None,
) -> SLMRec:
    """Teach a student of the teacher's first layers into a model folder (the paper's method).

    Args:
        teacher: the trained teacher; it stays as it is. Online, only its shape and item table count.
        data: the data set that it was trained on.
        out: model folder of the student.
        student: depth and training of the student, `StudentOptions()` if unset; the rest of its shape is the teacher's.
        distillation: blocks and losses, `DistillationOptions()` if unset.
        items: where the student's item table starts; None: the teacher's table, as with start "teacher".
        progress: told after every step.

    Raises:
        UserError: the student is deeper than the teacher or not as wide, or the layers do not divide into the blocks.
    """
    student, distillation = student or StudentOptions(), distillation or DistillationOptions()
    if distillation.form == "scores":
        raise UserError("form 'scores' compares no states; call distill_scores, or take form 'paper' or 'published'")
    student.check_start(distillation.start)
    check_pair(teacher, student.layers, distillation.blocks, student.width)
    check_catalogue(teacher, data.catalogue)
    options = student_shape(teacher, student)
    examples = training_examples(data, options.max_length, _supervision(options.reading))
    start = teacher.items if items is None else items

    def build() -> Distillation:
        if distillation.online:
            deep = replace(options, layers=teacher.num_layers)
            return OnlineDistillation(build_llm(data, options, start), build_llm(data, deep, start), distillation)
        if distillation.start == "teacher":
            return Distillation(build_from(teacher, data, options), teacher, distillation)
        model = build_llm(data, options, start)
        if distillation.start == "teacher-adapters":
            for part in ("input_adapter", "output_adapter", "items", *(["titles"] if options.item_titles else [])):
                getattr(model, part).load_state_dict(getattr(teacher, part).state_dict())
        return Distillation(model, teacher, distillation)

    folder = out.parent / f".{out.name}.teachers"
    layers = block_ends(teacher.num_layers, distillation.blocks, "teacher")
    if keeping_pays(distillation, options.training, examples, len(layers) * teacher.backbone.config.hidden_size):
        # Forward through the teacher once, forward and backward through the student in every epoch.
        share = teacher.num_layers / (teacher.num_layers + 3 * student.layers * expected_epochs(options.training))
        states = teacher_states(teacher, examples, layers, folder, _part(progress, 0.0, share))
        progress = _part(progress, share, 1.0)
        taught: Sequence[Example] = TaughtExamples(examples, states)
    else:
        taught = examples
    model = _train(
        build,
        data,
        {
            "student": asdict(options),
            "distillation": asdict(distillation),
            "teacher": fingerprint(teacher),
            "items": items and fingerprint(items),
        },
        options.training,
        out,
        taught,
        progress,
    )
    shutil.rmtree(folder, ignore_errors=True)
    assert isinstance(model, SLMRec)
    return model


@exclusively
def distill_scores(
    teachers: Sequence[Recommender],
    data: Dataset,
    out: Path,
    student: ClassicOptions | LLMOptions,
    distillation: DistillationOptions | None = None,
    items: ItemTable | Classic | None = None,
    progress: Progress | None = None,
    kept: Path | None = None,
) -> Recommender:
    """Teach an LLM or classic student to score as its teachers do together, into a model folder.

    Args:
        teachers: trained models of any kind that scores every position; they stay as they are.
        data: the data set that they were trained on.
        out: model folder of the student.
        student: shape and training, whose `loss` plays no part: see `training/score_distillation.py`.
        distillation: `cross_entropy`, `temperature` and `candidates`; its other fields play no part.
        items: where an LLM student's item table starts, or the classic model itself that a residual one adds to; None:
            random vectors. A classic student's starts afresh.
        progress: told after every step.
        kept: folder where the teachers' scores stay for further students of theirs; None: they go with this one.

    Raises:
        UserError: a teacher cannot score what the student is trained on, or the student is a BERT4Rec.
    """
    distillation = distillation or DistillationOptions(form="scores")
    check_teachers(teachers, data.catalogue, student.max_length)
    start: Callable[[], DotProductRecommender]
    if isinstance(student, LLMOptions):
        student.check_start(distillation.start)
        if student.reading != "every-position":
            raise UserError("the student reads 'last-prompt-token'; form 'scores' needs reading 'every-position'")
        if student.residual:
            start = partial(build_residual, data, student, _classic(items))
        else:
            start = partial(build_llm, data, student, _table(items))
        if distillation.start == "teacher":
            if student.residual:
                raise UserError("a residual llm starts from its classic model, not from its teacher; drop the start")
            if len(teachers) > 1 or not isinstance(teachers[0], SLMRec):
                raise UserError("start 'teacher' needs one teacher, an llm, whose weights the student begins with")
            start = partial(build_from, teachers[0], data, student)
    elif isinstance(student, BERT4RecOptions):
        raise UserError("a bert4rec reads a history once and cannot follow scores at every position; take another kind")
    else:
        start = partial(build_classic, data, student, classic_text(data, student, progress))
    together = Ensemble.of(teachers, ensemble_weights(teachers, data) if distillation.weigh_teachers else None)
    weights = [round(weight, 4) for weight in together.weights]
    examples = training_examples(data, student.max_length, "every-position")
    if distillation.augmented:
        told, progress = _part(progress, 0.0, 0.1), _part(progress, 0.1, 1.0)
        copies, seed = distillation.augmented, student.training.seed
        examples += augmented(together, examples, copies, student.max_length, seed, told)
    folder = kept or out.parent / f".{out.name}.teachers"
    taught: Sequence[Example] = examples
    whole = distillation.candidates >= data.num_items
    if whole and keeping_pays(distillation, student.training, examples, data.num_items):
        taught = TaughtExamples(examples, teacher_scores(together, examples, folder, _part(progress, 0.0, 0.1)))
        progress = _part(progress, 0.1, 1.0)
    model = _train(
        lambda: ScoreDistillation(start(), together, distillation),
        data,
        {
            "student": asdict(student),
            "distillation": asdict(distillation),
            "teachers": [fingerprint(teacher) for teacher in teachers],
            "weights": weights,
            "items": items and fingerprint(items),
        },
        student.training,
        out,
        taught,
        progress,
        teacher_weights=weights,
    )
    if not kept:
        shutil.rmtree(folder, ignore_errors=True)
    return model


def _table(items: ItemTable | Classic | None) -> ItemTable | None:
    return items.items if isinstance(items, Classic) else items


def _classic(items: ItemTable | Classic | None) -> Classic:
    if not isinstance(items, Classic):
        raise UserError("a residual llm adds to a classic model; give one, a gru4rec, caser, sasrec or esasrec")
    return items


def _train(
    build: Callable[[], TrainingModule],
    data: Dataset,
    options: Any,
    training: TrainingOptions,
    out: Path,
    examples: Sequence[Example] | Supervise,
    progress: Progress | None = None,
    **told: Any,
) -> Recommender:
    """Build, train, save; ``options`` and the data name the job, so that only its own checkpoints are taken up.

    What else is ``told`` stands in training.json.
    """
    check_replaceable(out, "config.json")
    job = {"data": data.fingerprint, "options": options if isinstance(options, dict) else asdict(options)}
    work = out.parent / f".{out.name}.work"
    processes = processes_here()
    if processes.is_main_process:
        _claim(work, job)
    processes.wait_for_everyone()
    transformers.set_seed(training.seed)
    module = build()
    model = module.model
    model.catalogue = data.catalogue
    if isinstance(examples, str):
        examples = training_examples(data, model.config.max_length, examples)
    if not examples:
        raise UserError(
            f"data set '{data.name}' has no user with two training interactions; nothing can be learnt from it"
        )
    trained = fit(module, examples, data, training, work, progress)
    model.config.trained_parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    llm = model.llm if isinstance(model, Residual) else model
    if isinstance(llm, SLMRec) and llm.config.lora:
        llm.merge_lora()
    model.requires_grad_(False).eval()
    if processes.is_main_process:
        model.save_pretrained(out, {"data": in_a_sentence(data), "training": {**trained.to_json(), **told}})
        if (work / "runs").exists():
            shutil.move(work / "runs", out / "tensorboard")
        shutil.rmtree(work)
    processes.wait_for_everyone()
    return model


def _claim(work: Path, job: dict[str, Any]) -> None:
    """Make the folder of a training in progress; what another job left there is thrown away."""
    told = work / "job.json"
    begun = read_json(told, "training in progress") if told.exists() else None  # cut off before it was written
    if work.exists() and chosen(begun) != chosen(job):
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    write_json(told, job)


def _part(progress: Progress | None, start: float, end: float) -> Progress | None:
    """Progress of a part of the work, told as that of the whole, in thousandths."""
    if progress is None:
        return None
    return lambda done, total, note: progress(round(1000 * (start + (end - start) * done / total)), 1000, note)


def _supervision(reading: str) -> Supervise:
    return "every-position" if reading == "every-position" else "last-position"
