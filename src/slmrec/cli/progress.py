"""What is being done and how long it will take, on stderr: live on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

EVERY = 5.0
"""Seconds between plain lines, at least."""

Clock = Callable[[], float]


class Stage:
    """One stage and its pace."""

    def __init__(self, number: int, total: int, title: str, clock: Clock) -> None:
        self.title = title if total == 1 else f"{number}/{total} {title}"
        self.clock = clock
        self.done = self.total = 0
        self.note = ""
        self._first = self._last = (clock(), 0)

    def update(self, done: int, total: int, note: str) -> None:
        """Take up how far it is."""
        now = (self.clock(), done)
        if self.total != total or done < self.done:  # the first news, or another count: a new pace
            self._first = now
        self._last = now
        self.done, self.total, self.note = done, total, note

    @property
    def remaining(self) -> float | None:
        """Seconds left at its pace so far; None before that can be told.

        What was done before the first news (by an earlier run, which this one goes on from) is no part of it.
        """
        (began, before), (last, done) = self._first, self._last
        if done <= before:
            return None
        return max(0.0, (self.total - done) * (last - began) / (done - before) - (self.clock() - last))


class Progress:
    """Keeps the stage and the estimates; its two kinds show them."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.started = clock()
        self.current: Stage | None = None
        self._end: float | None = None

    def stage(self, number: int, total: int, title: str) -> None:
        """Begin a stage."""
        self.current = Stage(number, total, title, self.clock)
        self._began()

    def progress(self, done: int, total: int, note: str = "") -> None:
        """Tell how far the stage is."""
        assert self.current is not None
        self.current.update(done, total, note)
        self._moved()

    def remaining(self, seconds: float | None) -> None:
        """Tell how long the whole will take from now."""
        self._end = None if seconds is None else self.clock() + seconds

    def say(self, text: str) -> None:
        """Print a line that stays."""
        raise NotImplementedError

    def times(self) -> str:
        """Time gone and left, as far as known."""
        assert self.current is not None
        parts = [f"{duration(self.clock() - self.started)} gone"]
        if self.current.remaining is not None:
            parts.append(f"{duration(self.current.remaining)} left" + (" in this stage" if self._end else ""))
        if self._end is not None:
            parts.append(f"{duration(max(0.0, self._end - self.clock()))} left in all")
        return ", ".join(parts)

    def _began(self) -> None:
        pass

    def _moved(self) -> None:
        pass


class Lines(Progress):
    """For logs: a line when a stage begins, and one every few seconds within it."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        super().__init__(clock)
        self.stream = stream
        self._printed = self.started

    def say(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def _began(self) -> None:
        assert self.current is not None
        self.say(f"{self.current.title} ({self.times()})")
        self._printed = self.clock()

    def _moved(self) -> None:
        stage = self.current
        assert stage is not None
        if self.clock() - self._printed < EVERY:
            return
        self._printed = self.clock()
        self.say(f"{stage.title}: {_percent(stage)}{stage.note and f', {stage.note}'} ({self.times()})")


class Terminal(Progress):
    """For a terminal: the stage with its bar, redrawn in place."""

    def __init__(self, console: "Console", clock: Clock = time.monotonic) -> None:
        super().__init__(clock)
        self.console = console

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False)

    def __rich__(self) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        stage = self.current
        if stage is None:
            return Text()
        title = Text(stage.title, style="bold", no_wrap=True, overflow="ellipsis")
        if stage.note:
            title.append(f"  {stage.note}", style="not bold")
        row = Table.grid(padding=(0, 1))
        if stage.total:
            bar = ProgressBar(total=stage.total, completed=stage.done, width=max(10, self.console.width // 3))
            row.add_row(bar, _percent(stage), Text(self.times(), style="dim"))
        else:
            spinner = Spinner("line")
            spinner.start_time = 0.0  # a new one is made for every drawing; its frame follows from the time
            row.add_row(spinner, Text(self.times(), style="dim"))
        return Group(title, row)


@contextmanager
def watching() -> Iterator[Progress]:
    """Yield the kind of progress that suits stderr."""
    if not sys.stderr.isatty() or os.environ.get("TERM") in (None, "dumb"):
        yield Lines(sys.stderr)
        return
    from rich.console import Console
    from rich.live import Live

    terminal = Terminal(Console(stderr=True))
    with Live(terminal, console=terminal.console, transient=True, redirect_stdout=False):
        yield terminal


def duration(seconds: float) -> str:
    """Seconds as "42 s", "3:05 min" or "1:03:05 h"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"


def _percent(stage: Stage) -> str:
    return f"{100 * stage.done // max(1, stage.total)} %"
