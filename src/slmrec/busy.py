"""What else keeps the machine busy while something is timed: times are worth little beside it."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

QUIET = 0.125
"""Share of the machine's processors that others may keep busy: a quarter of one of two."""
WATCHED = 0.5
"""Seconds over which they are watched at least: the system counts processor time in hundredths."""


class Others:
    """Other processes, watched from when this is made."""

    def __init__(self) -> None:
        self._before, self._began = _by_others(), time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long they have been watched."""
        return time.perf_counter() - self._began

    def share(self) -> float:
        """Share of the machine's processors that they have kept busy; waits where that is too short to tell."""
        time.sleep(max(0.0, WATCHED - self.seconds))
        there = (os.cpu_count() or 1) * self.seconds
        return min(1.0, max(0.0, _by_others() - self._before) / there)


@contextmanager
def estimating(say: Callable[[str], None]) -> Iterator[None]:
    """Around an estimate by timing: says so after it where others kept the machine busy meanwhile."""
    others = Others()
    yield
    if others.seconds < WATCHED:  # too short to tell, and the training is small
        return
    share = others.share()
    if share > QUIET:
        say(f"other processes keep {share:.0%} of this machine busy: that is the time beside them, alone it is less")


def _by_others() -> float:
    """Seconds of processor time since the machine's start that other processes used, or another machine took away."""
    spent, own = psutil.cpu_times()._asdict(), psutil.Process().cpu_times()
    waiting = ("idle", "iowait", "guest", "guest_nice")  # a guest's time is in the user's, too
    return sum(seconds for kind, seconds in spent.items() if kind not in waiting) - own.user - own.system
