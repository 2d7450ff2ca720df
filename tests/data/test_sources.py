"""Fetching against a tiny wheel of our own: what is whole stays, what is not is fetched again. No network."""

import hashlib
import sys
import zipfile
from pathlib import Path
from types import MappingProxyType

import pytest

from slmrec.data import packages, sources
from slmrec.data.readers import read_source
from slmrec.errors import UserError

INTER = "user_id:token\titem_id:token\nu\ti\n"


def wheel(folder: Path, content: str = INTER) -> Path:
    """Write a wheel that pip accepts, always with the same bytes."""
    path = folder / "tiny_source-1.0-py3-none-any.whl"
    files = {
        "tiny/data/tiny.inter": content,
        "tiny/other.py": "",
        "tiny_source-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny-source\nVersion: 1.0\n",
        "tiny_source-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tiny_source-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return path


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A known source `tiny`, its cache in the test's folder."""
    made = tmp_path / "made"
    made.mkdir()
    package = packages.Package(
        requirement="tiny-source==1.0",
        size=wheel(made).stat().st_size,
        sha256=hashlib.sha256(wheel(made).read_bytes()).hexdigest(),
        files={"tiny/data/tiny.inter": hashlib.sha256(INTER.encode()).hexdigest()},
    )
    monkeypatch.setattr(sources, "KNOWN", MappingProxyType({"tiny": package}))
    monkeypatch.setenv("SLMREC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tiny"


@pytest.fixture
def downloads(monkeypatch, tmp_path):
    """Replace pip by writing the wheel; the list counts the calls."""
    calls: list[str] = []
    content = wheel(tmp_path).read_bytes()

    def download(package, folder, report):
        calls.append(package.requirement)
        report("fetching")
        (folder / "tiny_source-1.0-py3-none-any.whl").write_bytes(content)

    monkeypatch.setattr(packages, "_download", download)
    return calls


def whole(folder: Path) -> bool:
    """Tell whether the cache holds the finished source and nothing else."""
    names = sorted(path.name for path in folder.parent.iterdir())
    return names == ["tiny"] and [path.name for path in folder.iterdir()] == ["tiny.inter"]


def test_fetched_once_and_readable(tiny, downloads):
    said = []
    assert sources.fetch("tiny", said.append) == tiny
    assert sources.fetch("tiny", said.append) == tiny
    assert downloads == ["tiny-source==1.0"]
    assert said == ["fetching", "unpacking tiny"]
    assert whole(tiny)
    raw = read_source(tiny)
    assert (raw.name, raw.interactions.rows()) == ("tiny", [("u", "i")])


def test_a_damaged_or_incomplete_cache_is_fetched_again(tiny, downloads):
    sources.fetch("tiny")
    (tiny / "tiny.inter").write_text(INTER + "x\ty\n")
    sources.fetch("tiny")
    (tiny / "tiny.inter").unlink()
    sources.fetch("tiny")
    assert len(downloads) == 3
    assert (tiny / "tiny.inter").read_text() == INTER
    assert whole(tiny)


@pytest.mark.parametrize("at", ["in the download", "after the download", "in unpacking"])
def test_an_interruption_leaves_nothing_that_looks_finished(tiny, downloads, monkeypatch, at):
    with monkeypatch.context() as patch:
        if at == "in the download":

            def download(package, folder, report):
                half = wheel(folder)
                half.write_bytes(half.read_bytes()[:100])
                raise KeyboardInterrupt

            patch.setattr(packages, "_download", download)
        elif at == "after the download":
            patch.setattr(packages.zipfile, "ZipFile", interrupt)
        else:
            patch.setattr(packages.shutil, "copyfileobj", interrupt)
        with pytest.raises(KeyboardInterrupt):
            sources.fetch("tiny")
    assert not tiny.exists()
    before = len(downloads)
    sources.fetch("tiny")
    assert whole(tiny)
    assert len(downloads) - before == (1 if at == "in the download" else 0)  # a wheel that arrived is used


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_another_package_of_the_same_name_is_refused(tiny, monkeypatch):
    monkeypatch.setattr(packages, "_download", lambda package, folder, report: wheel(folder, INTER + "v\tj\n"))
    with pytest.raises(UserError, match=r"tiny-source==1\.0 that pip found is not the expected one"):
        sources.fetch("tiny")
    assert [path.name for path in tiny.parent.iterdir()] == []


def test_pip_fetches_from_where_it_is_set_to(tiny, monkeypatch, tmp_path):
    for name, value in (
        ("PIP_NO_INDEX", "1"),
        ("PIP_FIND_LINKS", str(tmp_path / "made")),
        ("PIP_CONFIG_FILE", "/dev/null"),
    ):
        monkeypatch.setenv(name, value)
    said = []
    sources.fetch("tiny", said.append)
    assert whole(tiny)
    assert said[0] == "fetching tiny-source==1.0: 0% of 0 MB"


def test_pip_without_the_package_is_quoted(tiny, monkeypatch, tmp_path):
    for name, value in (
        ("PIP_NO_INDEX", "1"),
        ("PIP_FIND_LINKS", str(tmp_path)),
        ("PIP_CONFIG_FILE", "/dev/null"),
    ):
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"could not fetch tiny-source==1\.0: 'ERROR: No matching distribution"):
        sources.fetch("tiny")
    assert not tiny.exists()


def test_a_python_without_pip_is_said(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UserError, match=r"pip could not fetch tiny-source==1\.0: 'no message'"):
        sources.fetch("tiny")


def test_a_cache_that_cannot_be_written_is_said(tiny, downloads, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLMREC_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match=r"cannot keep tiny in the cache .*file/cache \(Not a directory\)"):
        sources.fetch("tiny")


def test_a_full_disk_is_said(tiny, downloads, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(packages.shutil, "copyfileobj", full)
        with pytest.raises(UserError, match=r"cannot keep tiny in the cache .*\(No space left on device\); free space"):
            sources.fetch("tiny")
    assert not tiny.exists()
    sources.fetch("tiny")
    assert whole(tiny)


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(UserError, match=r"no known source 'ml100k'; did you mean 'ml-100k'\?"):
        sources.fetch("ml100k")


def test_the_cache_is_in_the_home_folder_unless_set(monkeypatch, tmp_path):
    monkeypatch.delenv("SLMREC_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert packages.cache_folder() == tmp_path / ".cache" / "slmrec"
