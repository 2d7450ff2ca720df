"""The command `slmrec`: which verbs there are, and how a run of one ends.

Exit codes: 0 done, 2 the user's mistake (one sentence), 1 a fault, 130 interrupted. Results go to stdout, all
else to stderr. Nothing heavy is imported before a command's own `run`.
"""

import argparse
import errno
import os
import shutil
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from slmrec.cli import (
    combine,
    describe,
    distill,
    evaluate,
    export,
    items,
    prepare,
    recommend,
    run,
    score,
    serve,
    study,
    train,
    tune,
)
from slmrec.cli.parser import Parser
from slmrec.errors import UserError

EXAMPLES = """\
the whole job on a known data set, then recommendations from the result:
  slmrec run ml-100k --out runs/ml-100k
  slmrec recommend runs/ml-100k/student --history "50,181,172"

each command has a page with examples: slmrec COMMAND --help
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in argv or os.environ.get("SLMREC_DEBUG", "0") not in ("", "0")
    arguments = None
    try:
        with warnings.catch_warnings():
            if not debug:
                _hush()
            try:
                arguments = parser().parse_args(argv)
                arguments.run(arguments)
            finally:
                sys.stdout.flush()  # here, where a closed pipe is told from a fault; help pages end here too
        return 0
    except BrokenPipeError:  # whoever read our output has seen enough; the flush at exit has to be silent too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        if arguments is None:
            return _end(130, "interrupted before it began; type the same command again", debug)
        return _end(130, f"interrupted; {arguments.interrupted.format(**vars(arguments))}", debug)
    except Exception as error:
        full = "the disk is full; make room and type the same command again"
        if any(_says_full(cause) for cause in _causes(error)):
            return _end(1, full, debug)
        if isinstance(error, ModuleNotFoundError):
            from slmrec.extras import missing_extra

            error = missing_extra(error) or error
        if isinstance(error, UserError):
            return _end(2, str(error), debug)
        if _is_full(getattr(arguments, "out", None)):
            return _end(1, full, debug)
        said = " ".join(str(error).split()) or "no message"
        return _end(1, f"{type(error).__name__}: {said} (a fault; --debug shows where)", debug)


def parser() -> Parser:
    """The parser of all commands."""
    root = Parser(
        prog="slmrec",
        usage="slmrec COMMAND …",
        description="Distil a large language model into a small sequential recommender.",
        epilog=EXAMPLES,
    )
    root.add_argument("-V", "--version", action=_Version, nargs=0, help="print the version")
    commands = root.add_subparsers(prog="slmrec", metavar="COMMAND", required=True, title="commands")
    data = commands.add_parser(
        "data",
        help="make and describe data folders",
        usage="slmrec data (prepare SOURCE --out DIR | describe DIR) …",
        description="Make and describe data folders.",
        epilog=prepare.EXAMPLES + describe.EXAMPLES.partition("\n")[2],
    )
    data_commands = data.add_subparsers(prog="slmrec data", metavar="COMMAND", required=True, title="commands")
    for verb in (prepare, describe):
        verb.add_parser(data_commands)
    for verb in (run, train, tune, distill, combine, evaluate, recommend, score, export, serve, study):
        verb.add_parser(commands)
    items_parser = commands.add_parser(
        "items",
        help="add new items to a trained model",
        usage="slmrec items add MODEL FILE …",
        description="Add new items to a trained model.",
        epilog=items.EXAMPLES,
    )
    items.add_parser(
        items_parser.add_subparsers(prog="slmrec items", metavar="COMMAND", required=True, title="commands")
    )
    return root


class _Version(argparse.Action):
    """Looks the version up only when asked: that import alone would cost a help page half its time."""

    def __call__(self, parser, namespace, values, option_string=None):
        from importlib.metadata import version

        print(f"slmrec {version('slmrec')}")
        parser.exit()


def _hush() -> None:
    """Keep the libraries' own chatter away; it is set before they are imported."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TQDM_DISABLE", "1")  # the reading of a GGUF file has a bar that obeys nothing else
    warnings.simplefilter("ignore")


def _end(code: int, message: str, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"slmrec: {message}", file=sys.stderr)
    return code


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _says_full(error: BaseException) -> bool:
    """Whether this says that the disk is full; the writer of weights is no Python and says so in its text."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "No space left on device" in str(error)


def _is_full(out: Path | None) -> bool:
    """Whether there is no room where the results go: PyTorch fails to write without saying why."""
    if out is None:
        return False
    return shutil.disk_usage(next(path for path in (out, *out.absolute().parents) if path.exists())).free < 2**16
