"""manifest.json: what a bundle is, and the sizes and digests of its files. It is written last and checked first."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from slmrec.errors import UserError
from slmrec.files import read_json, write_json
from slmrec.runtime.neighbours import PARTS

FORMAT, VERSION = "slmrec-bundle", 2
MANIFEST, ITEMS, CATALOGUE, CARD = "manifest.json", "items.npy", "catalogue.json", "README.md"
PRECISIONS = ("fp32", "bf16", "int8")
_TYPES: dict[str, tuple[type, ...]] = {
    "kind": (str,),
    "name": (str,),
    "precision": (str,),
    "graph": (str,),
    "max_length": (int,),
    "num_items": (int,),
    "item_dim": (int,),
    "files": (dict,),
    "weight": (int, float),
    "neighbours": (list,),
}
_NEIGHBOURS = {"kind", "files", "weight", "decay", "max_length"}


def write_manifest(folder: Path, facts: dict[str, Any], files: Iterable[str]) -> dict[str, Any]:
    """Write the manifest of a folder whose files are all there; return it."""
    described = {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in files}
    manifest = {"format": FORMAT, "version": VERSION, **facts, "files": described}
    write_json(folder / MANIFEST, manifest)
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read a bundle's manifest and check every file against it.

    Raises:
        UserError: no bundle, one of another version, or a file that is missing or damaged; it is named.
    """
    if not folder.is_dir():
        raise UserError(f"there is no bundle {folder}; make one with `slmrec export`")
    manifest = read_json(folder / MANIFEST, "bundle")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UserError(f"{folder / MANIFEST} is not a bundle's; make one with `slmrec export`")
    if manifest.get("version") != VERSION:
        raise UserError(
            f"{folder} is a bundle of version {manifest.get('version')}, and this slmrec reads version {VERSION}; "
            "export the model again, or install the slmrec that made it"
        )
    for key, types in _TYPES.items():
        if not isinstance(manifest.get(key), types) or isinstance(manifest[key], bool):
            raise UserError(f"{folder / MANIFEST} is damaged: '{key}' is {manifest.get(key)!r}; copy the bundle again")
    for key in ("max_length", "num_items", "item_dim"):
        if manifest[key] < 1:
            raise UserError(f"{folder / MANIFEST} is damaged: '{key}' is {manifest[key]}; copy the bundle again")
    if manifest["precision"] not in PRECISIONS:
        raise UserError(f"{folder / MANIFEST} names the precision '{manifest['precision']}', which this slmrec lacks")
    for each in manifest["neighbours"]:
        whole = isinstance(each, dict) and each.keys() >= _NEIGHBOURS and isinstance(each["files"], dict)
        if not whole or not each["files"].keys() >= set(PARTS):
            raise UserError(f"{folder / MANIFEST} is damaged: 'neighbours' holds {each!r}; copy the bundle again")
    beside = [name for each in manifest["neighbours"] for name in each["files"].values()]
    for name in (manifest["graph"], ITEMS, CATALOGUE, *beside):
        if name not in manifest["files"]:
            raise UserError(f"{folder / MANIFEST} is damaged: it does not list {name}; copy the bundle again")
    for name, told in manifest["files"].items():
        _check_file(folder, name, told)
    return manifest


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_file(folder: Path, name: str, told: Any) -> None:
    path = folder / name
    if path.parent != folder or not isinstance(told, dict):
        raise UserError(f"{folder / MANIFEST} is damaged at '{name}'; copy the bundle again")
    if not path.is_file():
        raise UserError(f"{folder} is an incomplete bundle: {name} is missing; copy it again")
    size = path.stat().st_size
    if size != told.get("bytes"):
        raise UserError(
            f"{path} is damaged: it has {size:,} bytes, the manifest says {told.get('bytes')}; copy it again"
        )
    if sha256(path) != told.get("sha256"):
        raise UserError(f"{path} is damaged: its content is not what was exported; copy it again")
