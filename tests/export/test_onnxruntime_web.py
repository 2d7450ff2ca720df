"""Fetching by an npm of our own that packs a tiny package: what is whole stays, what is not is fetched again."""

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from slmrec.errors import UserError
from slmrec.export import onnxruntime_web as module

CONTENT = {"ort.wasm.bundle.min.mjs": b"export {};", "ort-wasm-simd-threaded.wasm": b"\0asm"}


def package(path: Path, change: bytes = b"") -> Path:
    """A package as npm packs it, always with the same bytes."""
    with tarfile.open(path, "w:") as archive:
        for name, content in CONTENT.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content + change)
            archive.addfile(member, io.BytesIO(content + change))
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of the test's own, and the tiny package expected."""
    monkeypatch.setenv("SLMREC_CACHE", str(tmp_path / "cache"))
    sums = {f"package/dist/{name}": hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    made = package(tmp_path / "expected.tgz")
    sha256 = hashlib.sha256(made.read_bytes()).hexdigest()
    monkeypatch.setattr(module, "PACKAGE", replace(module.PACKAGE, sha256=sha256, files=sums))
    return tmp_path / "cache"


def npm(folder: Path, monkeypatch, script: str) -> Path:
    """Put a shell script on the PATH as npm; it notes its calls."""
    folder.mkdir(exist_ok=True)
    path = folder / "npm"
    into = 'for each; do case "$each" in --pack-destination=*) into="${each#*=}";; esac; done'
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n{into}\n{script}\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder / "calls"


def test_it_is_fetched_once_and_checked(cache, tmp_path, monkeypatch):
    calls = npm(tmp_path / "bin", monkeypatch, f'cp {tmp_path}/expected.tgz "$into"')
    said: list[str] = []
    folder = module.onnxruntime_web(said.append)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    assert said[0] == f"fetching onnxruntime-web@{module.VERSION}: 0% of 33 MB"
    assert module.onnxruntime_web() == folder
    assert len(calls.read_text().splitlines()) == 1
    assert calls.read_text().startswith(f"pack onnxruntime-web@{module.VERSION} --silent --ignore-scripts")
    (folder / "ort-wasm-simd-threaded.wasm").write_bytes(b"damaged")
    module.onnxruntime_web()
    assert len(calls.read_text().splitlines()) == 2
    assert sorted(path.name for path in cache.iterdir()) == [folder.name]


def test_another_package_is_refused(cache, tmp_path, monkeypatch):
    package(tmp_path / "other.tgz", b"x")
    npm(tmp_path / "bin", monkeypatch, f'cp {tmp_path}/other.tgz "$into"')
    with pytest.raises(UserError, match=r"that npm found is not the expected one \(its SHA-256 differs\)"):
        module.onnxruntime_web()
    assert list(cache.iterdir()) == []


def test_what_npm_says_is_passed_on(cache, tmp_path, monkeypatch):
    npm(tmp_path / "bin", monkeypatch, "echo 'npm error code ENOTFOUND'; exit 1")
    with pytest.raises(UserError, match=r"npm could not fetch .*: 'npm error code ENOTFOUND'; check the connection"):
        module.onnxruntime_web()
    assert list(cache.iterdir()) == []


def test_a_missing_npm_is_said(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"there is no npm on the PATH; install Node\.js, or do this on a machine"):
        module.onnxruntime_web()


def test_a_cache_that_cannot_be_written_is_said(cache, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLMREC_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match=r"cannot keep onnxruntime-web.* in the cache"):
        module.onnxruntime_web()
