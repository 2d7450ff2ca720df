"""Times of requests, and what else the machine did meanwhile."""

import os
import subprocess
import sys

from slmrec import busy
from slmrec.evaluation import request_latency
from slmrec.models import Popularity


def test_busy_neighbours_are_noticed(cycle):
    neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        found = request_latency(Popularity.from_data(cycle), cycle, requests=10)
    finally:
        for process in neighbours:
            process.kill()
            process.wait()
    assert found.others > busy.QUIET
    assert not found.undisturbed
    assert 0 < found.p50 <= found.p99


def test_a_quiet_machine_is(monkeypatch, cycle):
    monkeypatch.setattr(busy, "_by_others", lambda: 3.0)
    assert request_latency(Popularity.from_data(cycle), cycle, requests=10).undisturbed
