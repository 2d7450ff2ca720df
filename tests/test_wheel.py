"""What is published: sdist and wheel as built, in an environment that has NumPy and nothing else of ours."""

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import slmrec
from slmrec import extras

ROOT = Path(__file__).parents[1]
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "src")


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the sdist, and the wheel that was built from it; nothing is fetched."""
    folder = tmp_path_factory.mktemp("built")
    source, dist = folder / "source", folder / "dist"
    source.mkdir()
    for name in BUILT_FROM:  # a copy, as a build leaves traces where it runs
        if (ROOT / name).is_dir():
            skip = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, source / name, ignore=skip)
        else:
            shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(dist), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return dist


@pytest.fixture(scope="module")
def bare(built, tmp_path_factory) -> Path:
    """The folder of programs of a fresh environment with the wheel and NumPy."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(folder, symlinks=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([programs / "python", "-c", asked], capture_output=True, text=True, check=True)
    for path in Path(sysconfig.get_path("platlib")).glob("numpy*"):
        (Path(site.stdout.strip()) / path.name).symlink_to(path)
    return programs


def run(bare: Path, program: str, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([bare / program, *words], capture_output=True, text=True, cwd=cwd)


def test_the_wheel_holds_what_the_package_reads_beside_its_code(built):
    (wheel,) = built.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    home = Path(slmrec.__file__).parent
    ours = {path.relative_to(home.parent).as_posix() for path in home.rglob("*") if path.is_file()}
    assert {name for name in ours if "__pycache__" not in name} <= held
    assert {"slmrec/py.typed", "slmrec/recipes/default.toml"} <= held
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_the_package_itself_needs_numpy_alone(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        needed = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist")
    assert [line for line in needed if "extra ==" not in line] == ["numpy>=2"]


def test_the_sdist_holds_the_source_and_its_licence(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "src/slmrec/py.typed", "src/slmrec/cli/main.py"} <= held


def test_the_command_stands_there(bare):
    helped = run(bare, "slmrec", "--help")
    assert helped.returncode == 0, helped.stderr
    assert "slmrec COMMAND" in helped.stdout
    assert run(bare, "slmrec", "--version").stdout == f"slmrec {slmrec_version()}\n"


def slmrec_version() -> str:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_what_needs_more_says_what_to_install(bare, tmp_path):
    (tmp_path / "clicks.csv").write_text("user_id,item_id\n1,2\n")
    (tmp_path / "model").mkdir()
    for line in ("run clicks.csv --out run", "train sasrec --help", "recommend model --history 1"):
        told = run(bare, "slmrec", *line.split(), cwd=tmp_path)
        assert (told.returncode, told.stdout) == (2, "")
        assert told.stderr.startswith("slmrec: working with data and models needs packages that are not installed (")
        assert told.stderr.endswith("; pip install 'slmrec[train]'\n")
        assert "torch" in told.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clicks.csv", "model"]


def test_python_says_so_too(bare):
    told = run(bare, "python", "-c", "import slmrec\ntry: slmrec.load\nexcept slmrec.UserError as error: print(error)")
    assert told.stdout.endswith("pip install 'slmrec[train]'\n"), told.stderr


def test_a_missing_package_that_no_extra_holds_stays_a_fault(monkeypatch):
    monkeypatch.setattr(extras.metadata, "requires", lambda name: ["torch>=2; extra == 'train'", "numpy>=2"])
    assert extras.missing_extra(ModuleNotFoundError(name="numpy")) is None
    assert extras.missing_extra(ModuleNotFoundError(name=None)) is None
    said = extras.missing_extra(ModuleNotFoundError(name="torch.nn"))
    assert str(said).endswith("not installed (torch); pip install 'slmrec[train]'")


def test_every_extra_says_what_it_is_for():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(declared) - {"dev", "docs"} <= set(extras.PURPOSES)
