"""`slmrec distill`: a student from a deep teacher, block by block, or from any teachers by their scores."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slmrec.cli import flags, show
from slmrec.cli.arguments import add_data, add_item_table, add_out, check_catalogue, check_out, item_table
from slmrec.cli.parser import Parser
from slmrec.cli.progress import Progress, watching
from slmrec.errors import UserError

if TYPE_CHECKING:
    from slmrec.data import Dataset
    from slmrec.models import Recommender

EXAMPLES = """\
examples:
  slmrec distill --teacher models/teacher --data data/ml-100k --layers 4 --blocks 4 --out models/student
  slmrec distill --teacher models/teacher --data data/ml-100k --layers 2 --blocks 2 --out models/small \\
      --lambda1 0.5 --training.epochs 5
  slmrec distill --teacher models/sasrec0 models/sasrec1 models/teacher --data data/ml-100k \\
      --kind sasrec --out models/taught
"""
KINDS = ("llm", "sasrec", "gru4rec", "caser", "esasrec")
"""Kinds of students."""
INTERRUPTED = "the last checkpoint, if any, is kept beside {out}; type the same command to go on from there"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "distill",
        help="train a student of one or more models",
        usage="slmrec distill --teacher MODEL… --data DIR --out MODEL [--kind KIND] [--layers N --blocks B]\n"
        "                      [--item-table MODEL] [--recipe NAME|FILE.toml] [--KEY VALUE] …",
        description="Train a student whose states follow its llm teacher's, block by block; or, where there are "
        "several teachers, or teacher or student is no llm, one that scores as its teachers do (form scores).",
        epilog=EXAMPLES,
        complete=_complete,
    )
    parser.add_argument("--teacher", type=Path, nargs="+", required=True, metavar="MODEL", help="model folders")
    parser.add_argument(
        "--kind", choices=KINDS, default="llm", help=f"the student's kind: {', '.join(KINDS)} (default: %(default)s)"
    )
    add_data(parser)
    add_out(parser, "MODEL", "model folder to write")
    add_item_table(parser, "the llm teacher's")
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def _complete(parser: Parser, args: Sequence[str]) -> None:
    pairs = list(pairwise(args))
    asked = [kind for kind in KINDS if f"--kind={kind}" in args or ("--kind", kind) in pairs]
    flags.add(parser, args, sections=(_section((asked or ["llm"])[0]), "distillation"))


def _section(kind: str) -> str:
    """The section of a recipe that a student's options come from."""
    return "student" if kind == "llm" else kind


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    student = flags.section(arguments, _section(arguments.kind))
    distillation, out = flags.section(arguments, "distillation"), arguments.out
    if out.resolve() in [folder.resolve() for folder in arguments.teacher]:
        raise UserError(f"--out is {out}, the teacher itself; choose another path")
    if arguments.item_table and distillation.start == "teacher-adapters":
        raise UserError(
            "start is teacher-adapters, which takes the teacher's item table; drop --item-table or the start"
        )
    check_out(out, "config.json")
    from slmrec.data import Dataset
    from slmrec.models import load

    teachers = [load(folder) for folder in arguments.teacher]
    data = Dataset.load(arguments.data)
    for teacher, folder in zip(teachers, arguments.teacher, strict=True):
        check_catalogue(teacher, folder, data)
    if len(teachers) > 1 or teachers[0].kind != "slmrec" or arguments.kind != "llm":
        distillation = replace(distillation, form="scores")
    follow = _by_scores if distillation.form == "scores" else _by_states
    with watching() as progress:
        follow(arguments, teachers, data, student, distillation, progress)
    print(show.training(out))


def _by_states(
    arguments: argparse.Namespace,
    teachers: "list[Recommender]",
    data: "Dataset",
    student: Any,
    distillation: Any,
    progress: Progress,
) -> None:
    from slmrec.models import SLMRec
    from slmrec.training.cost import llm_cost
    from slmrec.training.distillation import check_pair
    from slmrec.training.train import distill, student_shape

    (teacher,) = teachers
    assert isinstance(teacher, SLMRec)
    progress.stage(1, 1, f"Distilling {teacher.num_layers} layers into {student.layers} on {data.name}")
    table = item_table(arguments.item_table, data)
    check_pair(teacher, student.layers, distillation.blocks)
    shape = student_shape(teacher, student)
    cost = llm_cost(data, shape, teacher.backbone.config, teacher.num_layers, distillation.blocks)
    progress.say(f"to train: {cost}")
    distill(teacher, data, arguments.out, student, distillation, table, progress.progress)


def _by_scores(
    arguments: argparse.Namespace,
    teachers: "list[Recommender]",
    data: "Dataset",
    student: Any,
    distillation: Any,
    progress: Progress,
) -> None:
    from slmrec.models import SLMRec
    from slmrec.models.backbone import check_backbone
    from slmrec.training.cost import classic_cost, llm_cost
    from slmrec.training.score_distillation import check_teachers
    from slmrec.training.train import distill_scores, student_shape

    names = ", ".join(folder.name for folder in arguments.teacher)
    progress.stage(1, 1, f"Teaching {arguments.kind} by the scores of {names} on {data.name}")
    table = item_table(arguments.item_table, data)
    if arguments.kind == "llm":
        deep = next((teacher for teacher in teachers if isinstance(teacher, SLMRec)), None)
        if deep is None:
            own = {name: getattr(student, name) for name in type(student).__dataclass_fields__}
            student = replace(flags.section(arguments, "teacher"), **own)
        else:
            student = student_shape(deep, student)
            table = deep.items if table is None else table
    elif table is not None:
        raise UserError(f"--item-table is for an llm student; one of kind {arguments.kind} starts its own")
    check_teachers(teachers, data.catalogue, student.max_length)
    if arguments.kind == "llm":
        cost = llm_cost(data, student, check_backbone(student.backbone, student.layers, progress.say))
    else:
        cost = classic_cost(data, student)
    progress.say(f"to train, its teachers' part not counted: {cost}")
    distill_scores(teachers, data, arguments.out, student, distillation, table, progress.progress)
