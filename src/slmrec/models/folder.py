"""What a model folder holds, told before it is loaded; and what tells one model's weights from another's."""

import hashlib
from pathlib import Path

import torch

from slmrec.errors import UserError
from slmrec.files import read_json


def fingerprint(model: torch.nn.Module) -> str:
    """Digest of all weights."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()


def kind_of_folder(folder: Path, expected: str | None = None) -> str:
    """The kind of model in a folder.

    Raises:
        UserError: there is no such folder, it is none of ours, or not of the kind that was expected.
    """
    from slmrec.models import KINDS

    if not folder.is_dir():
        raise UserError(f"there is no model folder {folder}")
    config = read_json(folder / "config.json", "model folder")
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in KINDS:
        raise UserError(f"{folder} holds a model of type '{kind}'; known are: {', '.join(sorted(KINDS))}")
    if expected is not None and kind != expected:
        raise UserError(f"{folder} holds a {kind} model, but a {expected} model was asked for")
    for name in ("model.safetensors", "items.parquet"):
        if not (folder / name).is_file():
            raise UserError(f"{folder} is an incomplete model folder: {name} is missing; train or copy it again")
    return kind
