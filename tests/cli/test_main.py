"""How commands end: exit codes, one sentence on stderr, nothing imported that is not needed."""

import argparse
import errno
import json
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from slmrec.cli import describe
from slmrec.cli.main import main
from slmrec.errors import UserError

COMMANDS = (
    ["data"],
    ["data", "prepare"],
    ["data", "describe"],
    ["run"],
    ["train"],
    ["train", "popularity"],
    ["train", "sasrec"],
    ["train", "llm"],
    ["distill"],
    ["evaluate"],
    ["recommend"],
)
PROGRAM = [sys.executable, "-m", "slmrec"]


@pytest.fixture
def ending(monkeypatch, capsys):
    """Let `data describe` end with an exception, and return the exit code and what stderr got."""

    def end(error: BaseException, *words: str) -> SimpleNamespace:
        def run(arguments: argparse.Namespace) -> None:
            raise error

        monkeypatch.setattr(describe, "run", run)
        code = main(["data", "describe", "folder", *words])
        captured = capsys.readouterr()
        assert captured.out == ""
        return SimpleNamespace(code=code, said=captured.err)

    return end


def test_a_users_mistake_is_one_sentence_and_two(ending):
    ended = ending(UserError("the student is too deep; take a shallower one"))
    assert (ended.code, ended.said) == (2, "slmrec: the student is too deep; take a shallower one\n")


def test_a_fault_is_short_and_one(ending):
    ended = ending(RuntimeError("two\nlines"))
    assert (ended.code, ended.said) == (1, "slmrec: RuntimeError: two lines (a fault; --debug shows where)\n")


def test_debug_shows_where(ending, monkeypatch):
    assert "Traceback" in ending(RuntimeError("broken"), "--debug").said
    monkeypatch.setenv("SLMREC_DEBUG", "1")
    assert "Traceback" in ending(UserError("a mistake")).said
    monkeypatch.setenv("SLMREC_DEBUG", "0")
    assert "Traceback" not in ending(RuntimeError("broken")).said


def test_an_interruption_says_what_is_kept(ending):
    ended = ending(KeyboardInterrupt())
    assert (ended.code, ended.said) == (130, "slmrec: interrupted; nothing was changed\n")


def test_a_full_disk_is_the_machines_state_even_where_a_mistake_was_made_of_it(ending):
    full = OSError(errno.ENOSPC, "No space left on device")
    wrapped = UserError("cannot write")
    wrapped.__cause__ = full
    for error in (full, wrapped, RuntimeError("I/O error: No space left on device (os error 28)")):
        ended = ending(error)
        assert ended.code == 1
        assert ended.said == "slmrec: the disk is full; make room and type the same command again\n"


def test_a_full_disk_is_seen_where_the_error_does_not_tell(house, tmp_path, monkeypatch, capsys):
    """PyTorch's own words when a checkpoint did not fit on a disk of 300 KiB."""

    def train(*_, **__):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 60544 vs 60432")

    monkeypatch.setattr("slmrec.training.train.train_popularity", train)
    words = ["train", "popularity", "--data", str(house.data), "--out", str(tmp_path / "m")]
    assert main(words) == 1
    assert "unexpected pos" in capsys.readouterr().err
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0))
    assert main(words) == 1
    assert "slmrec: the disk is full; make room" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_a_page_with_an_example_of_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: slmrec " + " ".join(command))
    assert "slmrec " + " ".join(command) in text.partition("example")[2]


def test_the_main_page_names_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for command in ("data", "run", "train", "distill", "evaluate", "recommend"):
        assert f"\n    {command} " in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "the following arguments are required: COMMAND; see `slmrec --help`"),
        (
            ["trian"],
            "invalid choice: 'trian' (choose from 'data', 'run', 'train', 'tune', 'distill', 'combine', 'eval",
        ),
        (["data"], "the following arguments are required: COMMAND; see `slmrec data --help`"),
        (["data", "prepare", "x.csv"], "the following arguments are required: --out"),
        (["data", "prepare", "x.csv", "--out", "o", "--column", "user"], "must be like user_id=their_name"),
        (
            ["train", "bert", "--data", "d", "--out", "o"],
            "invalid choice: 'bert' (choose from 'popularity', 'item-knn'",
        ),
        (["train", "sasrec", "--data", "d"], "required: --out; see `slmrec train sasrec --help`"),
        (["train", "popularity", "--data", "d", "--out", "o", "--layers", "3"], "unknown option --layers"),
        (["evaluate", "--data", "d"], "required: MODEL"),
        (
            ["evaluate", "m", "--data", "d", "--split", "train"],
            "invalid choice: 'train' (choose from 'valid', 'test')",
        ),
        (
            ["evaluate", "m", "--data", "d", "--seed", "-3"],
            "--seed: it is '-3', but must be a whole number of at",
        ),
        (["recommend", "m"], "one of the arguments --history --user is required"),
        (["recommend", "m", "--history", "1", "--user", "2"], "--user: not allowed with argument --history"),
        (["recommend", "m", "--history", "1,,2"], "it is '1,,2', but must be ids between commas"),
        (["recommend", "m", "--history", ""], "it is '', but must be ids between commas"),
        (
            ["recommend", "m", "--history", "1", "-k", "0"],
            "-k: it is '0', but must be a whole number of at least 1",
        ),
        (["recommend", "m", "--user", "1"], "--user was given without --data"),
        (["recommend", "m", "--history", "1", "--data", "d"], "--data was given without --user"),
    ],
)
def test_wrong_arguments_are_named_at_once(words, sentence, capsys):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("slmrec: ")
    assert captured.err.count("\n") == 1
    assert sentence in captured.err


def test_the_version_is_the_installed_one(monkeypatch, capsys):
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"9.8.7 of {name}")
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "slmrec 9.8.7 of slmrec\n"


def test_light_answers_import_nothing_heavy():
    script = """
import sys
from slmrec.cli.main import main
for words in (
    ["--help"],
    ["train", "--help"],
    ["evaluate", "--help"],
    ["recommend", "m"],
    ["evaluate"],
    ["evaluate", "no-such-folder", "--data", "d"],
    ["recommend", "no-such-folder", "--history", "1"],
    ["export", "no-such-folder", "--to", "onnx", "--out", "o"],
    ["data", "describe", "no-such-folder"],
):
    try:
        main(words)
    except SystemExit:
        pass
print({"torch", "transformers", "polars", "numpy", "pyarrow", "rich"} & set(sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "set()"


def test_a_closed_pipe_is_no_fault():
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    done = subprocess.run([*PROGRAM, "--help"], stdout=reader.stdin, stderr=subprocess.PIPE, text=True)
    reader.stdin.close()
    assert (done.returncode, done.stderr) == (0, "")


def test_libraries_keep_quiet(house):
    command = [*PROGRAM, "recommend", str(house.student), "--history", "003", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)) == 10


def test_ctrl_c_in_training_keeps_the_checkpoint_and_says_so(house, tmp_path):
    out, work = tmp_path / "sasrec", tmp_path / ".sasrec.work"
    options = ["--data", house.data, "--out", out, "--recipe", house.recipe, "--training.epochs", "100000"]
    command = [*PROGRAM, "train", "sasrec", *map(str, options)]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while program.poll() is None and not any(work.glob("checkpoint-*/trainer_state.json")):
        time.sleep(0.05)
    program.send_signal(signal.SIGINT)
    printed, said = program.communicate()
    assert program.returncode == 130, said
    assert printed == ""
    assert said.splitlines()[-1] == (
        f"slmrec: interrupted; the last checkpoint, if any, is kept beside {out}; "
        "type the same command to go on from there"
    )
    assert "Traceback" not in said
    assert any(work.glob("checkpoint-*/trainer_state.json"))
    assert not out.exists()
