"""What one process makes no other makes at the same time."""

import subprocess
import sys
import threading

import pytest

from slmrec.errors import UserError
from slmrec.exclusive import exclusive
from slmrec.training.options import SASRecOptions, TrainingOptions
from slmrec.training.train import train

HOLD = "import sys; from pathlib import Path; from slmrec.exclusive import exclusive\n"
HOLD += "with exclusive(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def held(tmp_path):
    """A folder's path, and the process that has it."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "model")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield tmp_path / "model", process
        process.kill()


def test_what_another_process_has_is_refused_until_it_dies(held):
    path, process = held
    with pytest.raises(UserError, match=rf"another process is at work on {path}; wait until it ends"), exclusive(path):
        pass
    process.kill()
    process.wait()
    with exclusive(path):
        pass
    assert not list(path.parent.iterdir())


def test_who_waits_is_told_and_then_has_it(held):
    path, process = held
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        threading.Timer(0.1, process.stdin.close).start()

    with exclusive(path, tell):
        assert told == [f"another process is at work on {path}; waiting until it ends"]
        assert process.wait() == 0
    assert not list(path.parent.iterdir())


def test_two_trainings_into_one_folder_are_refused(held, cycle):
    """Else they would take up each other's checkpoints."""
    path, process = held
    options = SASRecOptions(hidden_size=8, num_blocks=1, max_length=7, training=TrainingOptions(epochs=1))
    with pytest.raises(UserError, match="another process is at work"):
        train(cycle, options, path)
    process.stdin.close()
    process.wait()
    train(cycle, options, path)
    assert [found.name for found in path.parent.iterdir()] == ["model"]
