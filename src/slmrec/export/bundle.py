"""From a model folder to a bundle: the graph, the item table, the catalogue, and what was measured of them."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch

from slmrec.errors import UserError, nearest
from slmrec.export.card import bundle_card
from slmrec.export.graph import check_exportable
from slmrec.export.neighbours import beside
from slmrec.export.onnx_graph import check_packages, onnx_graph
from slmrec.export.openvino_graph import check_openvino, write_openvino
from slmrec.export.parity import latency, parity
from slmrec.files import check_replaceable, whole_folder, write_text
from slmrec.models import DotProductRecommender, Ensemble, Recommender, load
from slmrec.models.base import at_rest
from slmrec.provenance import commit, machine
from slmrec.runtime import Bundle
from slmrec.runtime.manifest import CARD, CATALOGUE, ITEMS, MANIFEST, write_manifest

if TYPE_CHECKING:
    from slmrec.data import Catalogue, Dataset

Target = Literal["onnx", "openvino"]
Precision = Literal["fp32", "bf16", "int8"]


def export_bundle(
    model: str | Path | Recommender,
    out: str | Path,
    to: Target = "onnx",
    precision: Precision = "fp32",
    data: Dataset | None = None,
) -> dict[str, Any]:
    """Write a model as a bundle, and measure what it answers against torch's own answers.

    Args:
        model: a model folder, or a model.
        out: the bundle's folder, which names it; an existing bundle is replaced.
        to: "onnx" (any onnxruntime, browsers' too) or "openvino" (Intel's runtime for CPUs).
        precision: "fp32"; "int8", a quarter of the size; "bf16", OpenVINO's on processors that compute in it.
        data: compared on every test case of it; None: on random histories.

    Returns:
        The manifest, with `parity` and `latency`.

    Raises:
        UserError: a model, format or precision that cannot be, packages that are missing, a folder that is not ours, or
            data of other items. All before anything is computed.
        RuntimeError: a bundle in fp32 does not give torch's lists; nothing is written.
    """
    out = Path(out)
    check_target(to, precision)
    check_replaceable(out, MANIFEST)
    if not isinstance(model, Recommender):
        model = load(model)
    check_exportable(model)
    if data is not None and not model.catalogue.frame["item_id"].equals(data.catalogue.frame["item_id"]):
        raise UserError(
            f"the model knows {len(model.catalogue)} items, '{data.name}' has {len(data.catalogue)} others; "
            "take the data that it was trained on"
        )
    with whole_folder(out, MANIFEST) as folder:
        return write_bundle(model, folder, to, precision, data, out.resolve().name)


def check_target(to: str, precision: str) -> None:
    """Refuse a format or precision that there is not, or that cannot be had here.

    Raises:
        UserError: as it says.
    """
    if to not in get_args(Target):
        raise UserError(f"the format is {to!r}{nearest(to, get_args(Target))}")
    if precision not in get_args(Precision):
        raise UserError(f"precision is {precision!r}{nearest(precision, get_args(Precision))}")
    if to == "onnx" and precision == "bf16":
        raise UserError(
            "onnxruntime has no bf16 products on CPUs, so a graph in bf16 would not run; take int8 for a smaller one, "
            "or export to openvino"
        )
    check_packages()
    if to == "openvino":
        check_openvino(precision)


def write_bundle(
    model: Recommender, folder: Path, to: Target, precision: Precision, data: Dataset | None, name: str
) -> dict[str, Any]:
    """Write all files of a bundle into a folder that is there, the manifest last, and return it.

    Raises:
        RuntimeError: the bundle does not give torch's lists in fp32.
    """
    encoder = check_exportable(model)
    with at_rest(model):
        files = [*_write_graph(encoder, folder, to, precision), ITEMS, CATALOGUE]
        vectors = encoder.item_vectors().detach().float().cpu().numpy()
        np.save(folder / ITEMS, np.ascontiguousarray(vectors))
        write_text(folder / CATALOGUE, _columns(model.catalogue))
        facts = _facts(model, encoder, name, precision, files[0], vectors)
        for kind, tables in beside(model):
            told = tables.save(folder, f"{kind}-{len(facts['neighbours']) + 1}")
            facts["neighbours"].append({"kind": kind, **told})
            files += told["files"].values()
        write_manifest(folder, facts, files)
        facts["parity"] = parity(model, Bundle.load(folder), data)
    told = facts["parity"]
    if precision == "fp32" and told["same_except_ties"] < told["histories"]:
        raise RuntimeError(
            f"the exported graph's lists differ from torch's for {told['histories'] - told['same_except_ties']} of "
            f"{told['histories']} histories, by up to {told['largest_difference']:.1e} of a score"
        )
    facts["latency"] = latency(Bundle.load(folder, threads=1), 1) | {"cpu": machine()["cpu"]}
    write_text(folder / CARD, bundle_card(facts, list(model.catalogue.ids([1, min(2, len(vectors))]))))
    return write_manifest(folder, facts, [*files, CARD])


def _write_graph(model: DotProductRecommender, folder: Path, to: Target, precision: Precision) -> list[str]:
    """Write the graph; return its files' names, the one to open first."""
    import onnx

    from slmrec.export.quantize import dynamic_int8, weights_int8

    proto = onnx_graph(model)
    if to == "onnx":
        onnx.save(dynamic_int8(proto) if precision == "int8" else proto, folder / "encoder.onnx")
        return ["encoder.onnx"]
    write_openvino(weights_int8(proto) if precision == "int8" else proto, folder / "encoder.xml")
    return ["encoder.xml", "encoder.bin"]


def _facts(
    model: Recommender,
    encoder: DotProductRecommender,
    name: str,
    precision: Precision,
    graph: str,
    vectors: np.ndarray,
) -> dict[str, Any]:
    config: Any = encoder.config
    weights = dict(zip(model.members, model.weights, strict=True)) if isinstance(model, Ensemble) else {}
    layers = next(
        (
            getattr(owner, key)
            for owner in (encoder, config)
            for key in ("num_layers", "num_blocks")
            if hasattr(owner, key)
        ),
        None,
    )
    return {
        "kind": encoder.kind,
        "name": name,
        "precision": precision,
        "graph": graph,
        "max_length": config.max_length,
        "num_items": len(vectors),
        "item_dim": vectors.shape[1],
        "layers": layers,
        "parameters": model.parameter_counts()["without_vocabulary"],
        "weight": weights.get(encoder, 1.0),
        "neighbours": [],
        "made": {
            "slmrec": metadata.version("slmrec"),
            "torch": torch.__version__,
            "commit": commit(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        },
        "parity": None,
        "latency": None,
    }


def _columns(catalogue: Catalogue) -> str:
    """The catalogue's columns as JSON that browsers read too: dates in ISO form, no NaN."""

    def plain(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, list):
            return [plain(one) for one in value]
        return value

    columns = catalogue.frame.to_dict(as_series=False)
    return json.dumps({key: plain(column) for key, column in columns.items()}, ensure_ascii=False, default=str) + "\n"
