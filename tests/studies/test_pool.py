"""Jobs in processes: their order, what is told, and how a failure ends them."""

import importlib
import os
import signal
import subprocess
import sys
import time

import pytest

from slmrec.studies.pool import longest_chains, side_by_side

WORK = """
import os, time

def make(job, tell):
    os.mkdir(job)

def nap(job, tell):
    time.sleep(job)

def count(job, tell):
    for total in (2000, 1000):  # two things in turn
        for done in range(total):
            time.sleep(0.001)
            tell(done, total)
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """What processes do, in a module that they can import."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "pool_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    yield importlib.import_module("pool_work")
    del sys.modules["pool_work"]


@pytest.fixture
def jobs(tmp_path) -> dict[str, list[str]]:
    """Folders: each needs the one that it is in, and so fails if that is not made first."""
    needs = {"table": [], "table/teacher": ["table"], "table/teacher/student": ["table", "table/teacher"]}
    needs |= {"table/control": ["table"], "other": []}
    return {str(tmp_path / job): [str(tmp_path / need) for need in each] for job, each in needs.items()}


@pytest.fixture
def seconds(jobs) -> dict[str, float]:
    return dict(zip(jobs, (5.0, 20.0, 10.0, 3.0, 7.0), strict=True))


def nothing(*told):
    pass


def test_a_chain_is_as_long_as_what_waits_for_its_head(jobs, seconds):
    assert longest_chains(jobs, seconds) == dict(zip(jobs, (35.0, 30.0, 10.0, 3.0, 7.0), strict=True))


def test_jobs_wait_for_what_they_need_and_the_longest_chain_goes_first(jobs, seconds, work):
    began, ended = [], []
    side_by_side(jobs, seconds, 2, work.make, began.append, nothing, ended.append)
    table, teacher, student, control, other = jobs
    assert began[:2] == [table, other]
    assert began.index(teacher) < began.index(control)
    assert sorted(began) == sorted(ended) == sorted(jobs)
    assert all(os.path.isdir(job) for job in (student, control, other))


def test_how_far_a_job_is_is_told_about_once_a_second(work):
    shares = []
    jobs = {"count": []}
    side_by_side(jobs, {"count": 3.0}, 1, work.count, nothing, lambda job, share: shares.append(share), nothing)
    assert shares[0] == 0
    assert 3 <= len(shares) <= 7
    assert all(0 <= share < 1 for share in shares)


def test_a_failure_ends_the_rest_at_once(work):
    started = time.monotonic()
    naps = {-1.0: [], 60.0: [], 0.0: [-1.0]}  # to sleep for less than no time fails
    with pytest.raises(ValueError, match="non-negative"):
        side_by_side(naps, dict.fromkeys(naps, 1.0), 2, work.nap, nothing, nothing, nothing)
    assert time.monotonic() - started < 50


@pytest.mark.skipif(sys.platform == "win32", reason="nobody is killed there")
def test_no_job_outlives_the_process_that_started_it(tmp_path):
    (tmp_path / "napping.py").write_text(
        "import os, pathlib, time\n"
        "from slmrec.studies.pool import side_by_side\n"
        "def nap(folder, tell):\n"
        "    pathlib.Path(folder, 'part').write_text(str(os.getpid()))\n"
        "    pathlib.Path(folder, 'part').rename(pathlib.Path(folder, 'pid'))\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        f"    side_by_side({{{str(tmp_path)!r}: []}}, {{{str(tmp_path)!r}: 1.0}}, 1, nap, print, print, print)\n"
    )
    starter = subprocess.Popen([sys.executable, str(tmp_path / "napping.py")])
    try:
        _until((tmp_path / "pid").exists)
    finally:
        starter.send_signal(signal.SIGKILL)
        starter.wait()
    worker = int((tmp_path / "pid").read_text())
    _until(lambda: not _runs(worker))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _until(holds) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
