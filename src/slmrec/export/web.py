"""Bundles as a folder of static files: a page that recommends in the browser, with no server that sees a history.

index.html, page.css, *.js    the page that `slmrec serve` shows too, over a backend that runs here
ort/                          onnxruntime-web: the program and its WebAssembly
models/                       each bundle, as it was exported
web.json                      what the page finds here, and every file's size and SHA-256; written last
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slmrec.data.packages import Report
from slmrec.errors import UserError
from slmrec.export.bundle import Precision, check_target, export_bundle
from slmrec.export.onnxruntime_web import VERSION as RUNTIME
from slmrec.export.onnxruntime_web import onnxruntime_web
from slmrec.files import check_replaceable, whole_folder, write_json, write_text
from slmrec.runtime.manifest import MANIFEST as BUNDLE
from slmrec.runtime.manifest import read_manifest, sha256

if TYPE_CHECKING:
    from slmrec.data import Dataset

FORMAT = "slmrec-web"
VERSION = 1
MANIFEST = "web.json"
SCRIPTS = "script-src 'self'"
"""The page's rule for scripts; WebAssembly must be let in here, and only here."""


def export_web(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    precision: Precision = "int8",
    data: Dataset | None = None,
    *,
    report: Report | None = None,
) -> dict[str, Any]:
    """Write a folder that any file server can serve, for example ``python -m http.server --directory OUT``.

    Args:
        sources: a model folder or a bundle with an ONNX graph; or several over one catalogue, to have them side by
            side: the page starts with the first and fetches the others when they are asked for.
        out: the folder; an earlier one is replaced.
        precision: of the graphs that are made of model folders.
        data: what model folders' graphs are compared on; None: random histories.
        report: is told what is being done.

    Returns:
        What stands in web.json.

    Raises:
        UserError: no model, one that cannot be exported, a bundle that is damaged or has no ONNX graph, two of one
            name or of different items, onnxruntime-web that cannot be fetched, or a folder that is not ours.
    """
    places = [Path(source) for source in ([sources] if isinstance(sources, str | Path) else sources)]
    if not places:
        raise UserError("no model was given; a page needs one at least")
    names = [_name(place) for place in places]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"two of the models are named '{twice[0]}'; export one of them from a folder of another name")
    out = Path(out)
    check_replaceable(out, MANIFEST)
    check_target("onnx", precision)
    runtime = onnxruntime_web(report)
    with whole_folder(out, MANIFEST) as scratch, tempfile.TemporaryDirectory() as made:
        _page(scratch)
        shutil.copytree(runtime, scratch / "ort")
        models = []
        for number, (place, name) in enumerate(zip(places, names, strict=True), start=1):
            if not (place / BUNDLE).is_file():
                if report is not None:
                    report(f"exporting {name}")
                place = Path(made) / name
                export_bundle(places[number - 1], place, "onnx", precision, data)
            models.append(_model(place, scratch / "models" / _safe(name, number)))
        _check_same_items([scratch / "models" / model["folder"] for model in models], names)
        files: dict[str, dict[str, Any]] = {
            str(path.relative_to(scratch)): {"bytes": path.stat().st_size, "sha256": sha256(path)}
            for path in sorted(scratch.rglob("*"))
            if path.is_file()
        }
        written: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "onnxruntime_web": RUNTIME,
            "models": models,
            "bytes": sum(file["bytes"] for file in files.values()),
            "files": files,
        }
        write_json(scratch / MANIFEST, written)
    return written


def _name(place: Path) -> str:
    """A bundle's own name; a model folder gives its own to the bundle that is made of it."""
    return read_manifest(place)["name"] if (place / BUNDLE).is_file() else Path(os.path.abspath(place)).name


def _page(folder: Path) -> None:
    """The page's files, with the browser as backend and WebAssembly let in."""
    for file in (resources.files("slmrec") / "page").iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    write_text(folder / "backend.js", 'export { connect } from "./browser.js";\n')
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert index.count(SCRIPTS) == 1
    write_text(folder / "index.html", index.replace(SCRIPTS, f"{SCRIPTS} 'wasm-unsafe-eval'"))


def _model(bundle: Path, place: Path) -> dict[str, Any]:
    """Copy a bundle; return what the page tells of it before it is fetched, as `GET /models` does, and its folder."""
    manifest = read_manifest(bundle)
    if not manifest["graph"].endswith(".onnx"):
        raise UserError(
            f"the bundle {bundle} holds {manifest['graph']}, which no browser runs; export the model with --to onnx"
        )
    place.mkdir(parents=True)
    for name in [*manifest["files"], BUNDLE]:
        shutil.copyfile(bundle / name, place / name)
    facts = {name: manifest[name] for name in ("name", "kind", "layers", "parameters", "precision")}
    return facts | {"items": manifest["num_items"], "adds_items": False, "milliseconds": None, "folder": place.name}


def _check_same_items(bundles: Sequence[Path], names: Sequence[str]) -> None:
    first = (bundles[0] / "catalogue.json").read_bytes()
    for bundle, name in zip(bundles[1:], names[1:], strict=True):
        if (bundle / "catalogue.json").read_bytes() != first:
            raise UserError(
                f"'{name}' knows other items than '{names[0]}'; a page shows models of one catalogue, so make another "
                "page of it"
            )


def _safe(name: str, number: int) -> str:
    """A folder's name that needs no quoting in an address."""
    return f"{number}-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}"
