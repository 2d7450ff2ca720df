"""Times of requests, and what else the machine did meanwhile."""

import os
import subprocess
import sys
from collections import namedtuple
from types import SimpleNamespace

import psutil
import pytest

from slmrec.evaluation import latency, request_latency
from slmrec.models import Popularity

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
    assert latency._by_others() == pytest.approx(16 - 5)
    assert latency._by_others() == pytest.approx(25 - 7)


def test_busy_neighbours_are_noticed(cycle):
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        found = request_latency(Popularity.from_data(cycle), cycle, requests=10)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert found.others > latency.QUIET
    assert not found.undisturbed
    assert 0 < found.p50 <= found.p99


def test_a_quiet_machine_is(monkeypatch, cycle):
    monkeypatch.setattr(latency, "_by_others", lambda: 3.0)
    assert request_latency(Popularity.from_data(cycle), cycle, requests=10).undisturbed
