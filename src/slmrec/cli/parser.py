"""argparse with our manners: errors of one sentence, either spelling of a name, options made when needed."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from slmrec.errors import UserError, nearest

Complete = Callable[["Parser", Sequence[str]], None]


class Parser(argparse.ArgumentParser):
    """A command's parser.

    Options may be written with dashes or underscores, never cut short: a short form that works today would
    mean something else once a recipe gets another key.
    """

    def __init__(self, complete: Complete | None = None, **kwargs: Any) -> None:
        """Take ``complete``, which adds options once this command is asked for, given its arguments.

        The options of recipes need imports that the other commands, and `slmrec --help`, do without.
        """
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **kwargs)
        self._complete = complete
        self.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
        )

    def parse_known_args(self, args=None, namespace=None):
        args = list(sys.argv[1:] if args is None else args)
        if self._complete:
            complete, self._complete = self._complete, None
            complete(self, args)
        namespace, rest = super().parse_known_args([self._spelling(arg) for arg in args], namespace)
        unknown = next((arg.partition("=")[0] for arg in rest if arg.startswith("-")), None)
        if unknown:
            known = [name for name in self._option_string_actions if name.startswith("--")]
            self.error(f"unknown option {unknown}{nearest(unknown, known) if len(unknown) > 2 else ''}")
        if rest:
            self.error(f"too many arguments: {' '.join(rest)}")
        return namespace, rest

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`")

    def _spelling(self, arg: str) -> str:
        """An option with underscores as the one with dashes, where that is what there is."""
        name, equals, value = arg.partition("=")
        dashed = name.replace("_", "-")
        return dashed + equals + value if dashed in self._option_string_actions else arg
