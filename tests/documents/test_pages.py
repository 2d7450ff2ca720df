"""Every code block of README and docs works: run in the page's order, on a tiny stage that has what the page names.

Shell lines are run as typed: ours in this process with a tiny recipe where they name none, others by bash. Python
blocks of a page share their names. What cannot run here stands in `NOT_RUN` with the reason; our commands among it
are still read by the parser.
"""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from slmrec.cli.main import main, parser
from slmrec.errors import UserError
from slmrec.recipe import load_recipe

from . import stage
from .blocks import Block, blocks, commands, words

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
NOT_RUN = {
    "make": "sets up an environment, or trains for a quarter of an hour; the Makefile has the target",
    "pip install": "fetches packages; tests/test_wheel.py installs the wheel",
    "git clone": "fetches the repository",
    "jupyter": "opens a browser; test_notebook.py runs the notebook",
    "slmrec export runs/ml-100k/student runs/ml-100k/sasrec --to web": "fetches a package; tests/page runs its page",
    "slmrec export runs/ml-100k/student --to web": "the same",
    "slmrec serve bundle --store postgresql": "needs a database server; tests/serving/test_store.py starts one",
    "SLMREC_API_KEY": "listens to other machines; tests/serving starts servers with keys",
    "python benchmarks/": "measures for minutes; the script is there",
    "slmrec study ablation --data data/ml-100k --seeds 3 --out studies": "forty trainings; its plan is run instead",
}
"""Lines that begin so are not run."""
SHOWN = {"", "text", "json"}
"""Languages of blocks that show a result or a file."""


def run_in(prepared: Path, tmp_path: Path, patch: pytest.MonkeyPatch) -> Path:
    """A copy of the stage to work in."""
    folder = tmp_path / "stage"
    shutil.copytree(prepared, folder)
    patch.chdir(folder)
    stage.stand_in(patch, folder)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_pages_code_runs(page, prepared, tmp_path, monkeypatch):
    found = blocks(page)
    if not any(block.language not in SHOWN for block in found):
        for block in found:
            check_shown(block)
        return
    run_in(prepared, tmp_path, monkeypatch)
    names: dict[str, object] = {"__name__": "__main__"}
    with contextlib.closing(Servers(tmp_path)) as serve:
        for block in found:
            match block.language:
                case "sh":
                    for command in commands(block):
                        run_command(block, command, serve)
                case "python":
                    code = serve.readdress(block.code)
                    exec(compile("\n" * block.line + code, str(page), "exec"), names)
                case "toml":
                    run_toml(block)
                case language if language in SHOWN:
                    check_shown(block)
                case language:
                    pytest.fail(f"{block}: blocks of language '{language}' are neither run nor listed")


def run_command(block: Block, command: str, serve: "Servers") -> None:
    """One line of a shell block."""
    line = " ".join(words(command))
    listed = any(line.startswith(start) for start in NOT_RUN)
    match words(command):
        case ["slmrec", "serve", *_] if not listed:
            serve.start(block, words(command)[1:])
        case ["slmrec", *rest]:
            with_recipe = [*rest, "--recipe", stage.RECIPE]
            rest = with_recipe if "--recipe" not in rest and is_understood(with_recipe) else rest
            if listed:
                parser().parse_args(rest)
            else:
                assert main(rest) == 0, f"{block}: {line}"
        case ["make", target, *_]:
            assert target in re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M), f"{block}: {line}"
        case ["pip", "install", *asked]:
            check_extras(block, asked)
        case ["python", script, *_] if listed:
            assert (ROOT / script).is_file(), f"{block}: {line}"
        case _ if not listed:
            done = subprocess.run(["bash", "-c", serve.readdress(command)], capture_output=True, text=True)
            assert done.returncode == 0, f"{block}: {line}\n{done.stderr}"


def is_understood(rest: list[str]) -> bool:
    """Whether a command takes these words."""
    try:
        parser().parse_args(rest)
    except UserError:
        return False
    return True


def check_extras(block: Block, asked: list[str]) -> None:
    """Extras that a page tells to install are declared."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in asked:
        for extra in re.findall(r"\[([\w,]+)\]", word):
            assert set(extra.split(",")) <= set(declared), f"{block}: {word}"


def run_toml(block: Block) -> None:
    """A recipe, kept under the name that its first line gives."""
    named = re.match(r"# (\S+\.toml)", block.code)
    assert named, f"{block}: the first line of a recipe names its file, as `# mine.toml`"
    Path(named[1]).write_text(block.code)
    load_recipe(named[1])


def check_shown(block: Block) -> None:
    """JSON is JSON."""
    if block.language == "json":
        json.loads(block.code)


class Servers:
    """What `slmrec serve` lines of a page started, on a port of their own instead of the documents' 8080."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.running = folder, list[subprocess.Popen]()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def readdress(self, text: str) -> str:
        """The text with this test's port."""
        return text.replace("8080", str(self.port))

    def start(self, block: Block, rest: list[str]) -> None:
        """Start a server and wait until it answers; one that runs already makes way."""
        self.close()
        rest = [self.readdress(word) for word in rest if word != "&"]
        rest += [] if "--port" in rest else ["--port", str(self.port)]
        log = self.folder / "server.log"
        with log.open("w") as file:
            self.running.append(subprocess.Popen([sys.executable, "-m", "slmrec", *rest], stdout=file, stderr=file))
        limit = time.monotonic() + 60
        while time.monotonic() < limit and self.running[-1].poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=1).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        pytest.fail(f"{block}: the server does not answer\n{log.read_text()}")

    def close(self) -> None:
        """End what runs."""
        while self.running:
            process = self.running.pop()
            process.terminate()
            process.wait(timeout=30)
