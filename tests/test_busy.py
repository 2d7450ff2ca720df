"""What else keeps the machine busy."""

import itertools
import os
from collections import namedtuple
from types import SimpleNamespace

import psutil
import pytest

from slmrec import busy

SYSTEM = ["user", "system", "idle", "iowait", "irq", "steal", "guest"]


class Watched:
    """A process whose processor time is as given."""

    def __init__(self, *own: float) -> None:
        self.own = iter(own)

    def cpu_times(self):
        return SimpleNamespace(user=next(self.own), system=1.0)


def test_what_others_use_is_all_that_is_not_idle_nor_ones_own(monkeypatch):
    """Between two looks the processors worked 9 s, of which 2 were this process's own; a guest's are in the user's."""
    times = namedtuple("times", SYSTEM)
    found = iter([times(10, 5, 100, 7, 1, 0, 3), times(16, 6, 200, 70, 2, 1, 30)])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(found))
    process = Watched(4.0, 6.0)
    monkeypatch.setattr(psutil, "Process", lambda: process)
    assert busy._by_others() == pytest.approx(16 - 5)
    assert busy._by_others() == pytest.approx(25 - 7)


@pytest.mark.parametrize(
    ("took", "used", "shares"),
    [(1.0, 0.2, []), (1.0, 1.2, ["60%"]), (0.4, 0.8, [])],
)
def test_an_estimate_beside_others_says_so(monkeypatch, took, used, shares):
    """Of two processors, while an estimate took so long, others used so many seconds; what is quick is not told."""
    clock, spent, told = itertools.chain([100.0], itertools.repeat(100.0 + took)), iter([50.0, 50.0 + used]), []
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(busy, "time", SimpleNamespace(perf_counter=lambda: next(clock), sleep=lambda _: None))
    monkeypatch.setattr(busy, "_by_others", lambda: next(spent))
    with busy.estimating(told.append):
        pass
    assert [line.split()[3] for line in told] == shares
