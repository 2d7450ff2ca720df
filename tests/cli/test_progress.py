"""Progress against a clock that the tests turn: times left are worked out by hand."""

import contextlib
import io
import os

import pytest
from rich.console import Console

from slmrec.cli.progress import EVERY, Lines, Terminal, duration, watching


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines(clock: Clock) -> Lines:
    return Lines(io.StringIO(), clock)


def printed(lines: Lines) -> list[str]:
    return lines.stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (185, "3:05 min"), (3600 + 185, "1:03:05 h")],
)
def test_durations_read_like_a_clock(seconds, text):
    assert duration(seconds) == text


def test_time_left_follows_from_the_pace_since_the_first_news(lines, clock):
    lines.stage(2, 7, "Training")
    clock.now += 60  # loading: no part of the pace
    lines.progress(500, 1000, "")
    assert lines.current.remaining is None
    clock.now += 10
    lines.progress(600, 1000, "")
    assert lines.current.remaining == pytest.approx(40)  # 100 steps took 10 s, 400 are left
    clock.now += 15
    assert lines.current.remaining == pytest.approx(25)
    clock.now += 1000
    assert lines.current.remaining == 0


def test_another_count_within_a_stage_has_a_pace_of_its_own(lines, clock):
    lines.stage(1, 1, "Distilling")
    lines.progress(1, 10, "teacher states")
    clock.now += 9
    lines.progress(10, 10, "teacher states")
    lines.progress(1, 100, "epoch 1")
    assert lines.current.remaining is None
    clock.now += 4
    lines.progress(3, 100, "epoch 1")
    assert lines.current.remaining == pytest.approx(97 * 2)


def test_plain_lines_come_at_most_every_few_seconds(lines, clock):
    lines.stage(3, 7, "Training the teacher")
    for step in range(1, 91):
        clock.now += 0.125
        lines.progress(step, 160, "epoch 1 of 2")
    assert printed(lines) == [
        "3/7 Training the teacher (0 s gone)",
        "3/7 Training the teacher: 25 %, epoch 1 of 2 (5 s gone, 15 s left)",
        "3/7 Training the teacher: 50 %, epoch 1 of 2 (10 s gone, 10 s left)",
    ]
    assert EVERY == 5


def test_the_whole_run_is_told_apart_from_its_stage(lines, clock):
    lines.stage(3, 7, "Training")
    lines.remaining(300)
    lines.progress(1, 11, "")
    clock.now += 20
    lines.progress(2, 11, "")
    assert printed(lines)[-1] == "3/7 Training: 18 % (20 s gone, 3:00 min left in this stage, 4:40 min left in all)"
    lines.remaining(None)
    assert "in all" not in lines.times()


def test_a_single_stage_has_no_number_and_say_prints_at_once(lines):
    lines.stage(1, 1, "Preparing")
    lines.say("1,000 rows dropped")
    assert printed(lines) == ["Preparing (0 s gone)", "1,000 rows dropped"]


@pytest.mark.parametrize("width", [60, 100])
def test_a_terminal_shows_title_note_bar_and_times_in_two_lines(clock, width):
    terminal = Terminal(Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None), clock)
    terminal.stage(3, 7, "Training the teacher")
    terminal.progress(1, 4, "epoch 1 of 2")
    clock.now += 10
    terminal.progress(2, 4, "epoch 1 of 2, valid NDCG@10 0.0812")
    terminal.remaining(600)
    terminal.console.print(terminal)
    first, second = terminal.console.file.getvalue().splitlines()[:2]
    assert first.startswith("3/7 Training the teacher  epoch 1 of 2, valid NDCG")
    assert "━" in second
    assert "50 %" in second
    assert "10 s gone" in second


def test_a_terminal_shows_a_stage_of_unknown_length(clock):
    terminal = Terminal(Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None), clock)
    terminal.console.print(terminal)
    terminal.stage(1, 1, "Preparing clicks.csv")
    clock.now += 2
    terminal.console.print(terminal)
    assert "2 s gone" in terminal.console.file.getvalue()


def test_texts_are_no_markup(clock):
    terminal = Terminal(Console(file=io.StringIO(), width=80), clock)
    terminal.say("[bold]a title[/bold] in brackets")
    assert terminal.console.file.getvalue() == "[bold]a title[/bold] in brackets\n"


def test_without_a_terminal_lines_are_plain(capsys):
    with watching() as progress:
        assert isinstance(progress, Lines)
        progress.stage(1, 1, "Working")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "Working (0 s gone)\n"


def test_on_a_terminal_it_is_live_and_results_stay_on_stdout(monkeypatch, capsys):
    master, slave = os.openpty()
    with open(slave, "w") as screen:
        monkeypatch.setattr("sys.stderr", screen)
        monkeypatch.setenv("TERM", "xterm")
        with watching() as progress:
            assert isinstance(progress, Terminal)
            progress.stage(1, 2, "Working")
            print("a result")
            progress.say("a line that stays")
    shown = _written(master)
    assert "1/2 Working" in shown
    assert "a line that stays" in shown
    assert "a result" not in shown
    assert capsys.readouterr().out == "a result\n"


def _written(master):
    """All that was written to a terminal whose other end is closed: one read may return a part of it."""
    shown = b""
    # On Linux the end of what was written is an error, EIO; elsewhere it is an empty read.
    with open(master, "rb", buffering=0) as end, contextlib.suppress(OSError):
        while part := end.read(4096):
            shown += part
    return shown.decode()
