"""Bundles as a folder of static files: a page that recommends in the browser, with no server that sees a history.

    index.html, page.css, *.js    the page that `slmrec serve` shows too, over a backend that runs here
    ort/                          onnxruntime-web: the program and its WebAssembly
    models/NAME/                  each bundle, as it was exported
    web.json                      what the page finds here, and every file's size and SHA-256; written last
"""

import hashlib
import re
import shutil
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from slmrec.errors import UserError
from slmrec.export.onnxruntime_web import VERSION as RUNTIME
from slmrec.export.onnxruntime_web import Report, onnxruntime_web
from slmrec.files import read_json, whole_folder, write_json, write_text

FORMAT = "slmrec-web"
VERSION = 1
MANIFEST = "web.json"
SCRIPTS = "script-src 'self'"
"""The page's rule for scripts; WebAssembly must be let in here, and only here."""


def export_web(bundles: Path | Sequence[Path], out: Path, *, report: Report | None = None) -> dict[str, Any]:
    """Write a folder that any file server can serve, for example ``python -m http.server --directory OUT``.

    Args:
        bundles: a bundle with an ONNX graph, or several over one catalogue to have side by side; the page starts with
            the first and fetches the others when they are asked for.
        out: the folder; an earlier one is replaced.
        report: is told what is being done.

    Returns:
        What stands in web.json.

    Raises:
        UserError: no bundle, one that is damaged or has no ONNX graph, two of one name, or onnxruntime-web that
            cannot be fetched.
    """
    folders = [bundles] if isinstance(bundles, str | Path) else list(bundles)
    if not folders:
        raise UserError("no bundle was given; a page needs one at least")
    manifests = [_manifest(Path(folder)) for folder in folders]
    names = [manifest["name"] for manifest in manifests]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"two of the bundles are named '{twice[0]}'; export one of them under another name")
    runtime = onnxruntime_web(report)
    with whole_folder(Path(out), marker=MANIFEST) as scratch:
        _page(scratch)
        (scratch / "ort").mkdir()
        for file in runtime.iterdir():
            shutil.copyfile(file, scratch / "ort" / file.name)
        models = []
        for number, (folder, manifest) in enumerate(zip(folders, manifests, strict=True), start=1):
            place = scratch / "models" / _safe(manifest["name"], number)
            place.mkdir(parents=True)
            for name in [*manifest["files"], "manifest.json"]:
                shutil.copyfile(Path(folder) / name, place / name)
            _check(place, manifest)
            models.append(_facts(manifest) | {"folder": place.name})
        files = {
            str(path.relative_to(scratch)): {"bytes": path.stat().st_size, "sha256": _sha256(path)}
            for path in sorted(scratch.rglob("*"))
            if path.is_file()
        }
        written = {
            "format": FORMAT,
            "version": VERSION,
            "models": models,
            "made": manifests[0].get("made"),
            "onnxruntime_web": RUNTIME,
            "bytes": sum(file["bytes"] for file in files.values()),
            "files": files,
        }
        write_json(scratch / MANIFEST, written)
    return written


def _page(folder: Path) -> None:
    """The page's files, with the browser as backend and WebAssembly let in."""
    page = resources.files("slmrec") / "page"
    for file in page.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    write_text(folder / "backend.js", 'export { connect } from "./browser.js";\n')
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert index.count(SCRIPTS) == 1
    write_text(folder / "index.html", index.replace(SCRIPTS, f"{SCRIPTS} 'wasm-unsafe-eval'"))


def _manifest(folder: Path) -> dict[str, Any]:
    """A bundle's manifest, if its graph is one that a browser runs."""
    manifest = read_json(folder / "manifest.json", "bundle")
    if manifest.get("format") != "slmrec-bundle" or manifest.get("version") != 1:
        raise UserError(f"{folder} is no bundle of format version 1; export it again")
    if not manifest["graph"].endswith(".onnx"):
        raise UserError(
            f"the bundle {folder} holds {manifest['graph']}, which no browser runs; export the model with --to onnx"
        )
    return manifest


def _check(folder: Path, manifest: dict[str, Any]) -> None:
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file() or _sha256(path) != expected["sha256"]:
            raise UserError(
                f"the bundle '{manifest['name']}' is damaged: {name} is not what its manifest says; export it again"
            )


def _facts(manifest: dict[str, Any]) -> dict[str, Any]:
    """What the page tells of a model before it is fetched, as `GET /models` does."""
    facts = {name: manifest[name] for name in ("name", "kind", "layers", "parameters", "precision")}
    return facts | {"items": manifest["num_items"], "adds_items": False, "milliseconds": None}


def _safe(name: str, number: int) -> str:
    """A folder's name that needs no quoting in an address."""
    return f"{number}-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
