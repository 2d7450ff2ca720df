"""`slmrec distill`: a shallow student from a deep teacher."""

import argparse
from functools import partial
from pathlib import Path

from slmrec.cli import flags, show
from slmrec.cli.arguments import add_data, add_item_table, add_out, check_catalogue, check_out, item_table
from slmrec.cli.progress import watching
from slmrec.errors import UserError

EXAMPLES = """\
examples:
  slmrec distill --teacher models/teacher --data data/ml-100k --layers 4 --blocks 4 --out models/student
  slmrec distill --teacher models/teacher --data data/ml-100k --layers 2 --blocks 2 --out models/small \\
      --lambda1 0.5 --training.epochs 5
"""
INTERRUPTED = "the last checkpoint, if any, is kept beside {out}; type the same command to go on from there"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "distill",
        help="train a shallow student of a deep llm model",
        usage="slmrec distill --teacher MODEL --data DIR --layers N --blocks B --out MODEL\n"
        "                      [--item-table MODEL] [--recipe NAME|FILE.toml] [--KEY VALUE] …",
        description="Train a student whose states follow its teacher's, block by block.",
        epilog=EXAMPLES,
        complete=partial(flags.add, sections=("student", "distillation")),
    )
    parser.add_argument("--teacher", type=Path, required=True, metavar="MODEL", help="folder of an llm model")
    add_data(parser)
    add_out(parser, "MODEL", "model folder to write")
    add_item_table(parser, "the teacher's")
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    student, distillation = (flags.section(arguments, name) for name in ("student", "distillation"))
    teacher_folder, out = arguments.teacher, arguments.out
    if teacher_folder.resolve() == out.resolve():
        raise UserError(f"--out is {out}, the teacher itself; choose another path")
    if arguments.item_table and distillation.start == "teacher-adapters":
        raise UserError(
            "start is teacher-adapters, which takes the teacher's item table; drop --item-table or the start"
        )
    check_out(out, "config.json")
    from slmrec.data import Dataset
    from slmrec.models import SLMRec
    from slmrec.training.cost import llm_cost
    from slmrec.training.distillation import check_pair
    from slmrec.training.train import distill, student_shape

    teacher = SLMRec.from_pretrained(teacher_folder)
    data = Dataset.load(arguments.data)
    check_catalogue(teacher, teacher_folder, data)
    with watching() as progress:
        progress.stage(1, 1, f"Distilling {teacher.num_layers} layers into {student.layers} on {data.name}")
        table = item_table(arguments.item_table, data)
        check_pair(teacher, student.layers, distillation.blocks)
        shape = student_shape(teacher, student)
        cost = llm_cost(data, shape, teacher.backbone.config, teacher.num_layers, distillation.blocks)
        progress.say(f"to train: {cost}")
        distill(teacher, data, out, student, distillation, table, progress.progress)
    print(show.training(out))
