"""One tiny exported model of every kind, each exported once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from slmrec.export import export_bundle
from slmrec.export.onnx_graph import onnx_graph
from slmrec.models import BERT4Rec, Caser, DotProductRecommender, ESASRec, GRU4Rec, SASRec
from slmrec.runtime import Bundle
from slmrec.training.build import build_classic
from slmrec.training.options import BERT4RecOptions, CaserOptions, ESASRecOptions, GRU4RecOptions, SASRecOptions

from ..conftest import DECODERS, build, save_decoder

PROMPT = {"prompt_before": "the user liked"}
CLASSIC = {
    "sasrec": (SASRec, SASRecOptions, {"num_blocks": 1, "num_heads": 2}),
    "esasrec": (ESASRec, ESASRecOptions, {"num_blocks": 1}),
    "gru4rec": (GRU4Rec, GRU4RecOptions, {"state_size": 12}),
    "caser": (Caser, CaserOptions, {"window": 3, "horizontal_filters": 4, "vertical_filters": 2}),
    "bert4rec": (BERT4Rec, BERT4RecOptions, {"num_blocks": 1}),
}
LLM = {
    "llama": ("llama", PROMPT),
    "llama without a prompt": ("llama", {"prompt_before": ""}),
    "llama read behind the items": (
        "llama",
        {**PROMPT, "prompt_after": "next item :", "reading": "last-prompt-token"},
    ),
    "qwen2": ("qwen2", PROMPT),
    "gpt2": ("gpt2", PROMPT),
}


@dataclass(frozen=True)
class Exported:
    """A model and its bundle."""

    model: DotProductRecommender
    folder: Path
    bundle: Bundle


def tiny(name: str, cycle, folder: Path) -> DotProductRecommender:
    """Random weights, large enough that every part of the model is felt."""
    if name in LLM:
        family, options = LLM[name]
        save_decoder(DECODERS[family], folder)
        model = build(cycle, folder, layers=2, **options)
    else:
        _, options, shape = CLASSIC[name]
        torch.manual_seed(0)
        model = build_classic(cycle, options(**{"hidden_size": 16, "max_length": 7} | shape), None)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(std=0.3)
            model.items.weight[0] = 0
    model.catalogue = cycle.catalogue
    return model.eval()


@pytest.fixture(scope="session", params=[*CLASSIC, *LLM])
def exported(request, cycle, tmp_path_factory) -> Exported:
    """Each kind in float32 for onnxruntime."""
    folder = tmp_path_factory.mktemp("exported")
    model = tiny(request.param, cycle, folder / "decoder")
    export_bundle(model, folder / "bundle")
    return Exported(model, folder / "bundle", Bundle.load(folder / "bundle", threads=1))


@pytest.fixture(scope="session")
def llama_model(cycle, tmp_path_factory) -> DotProductRecommender:
    """The kind with the largest products, to be exported in several ways."""
    return tiny("llama", cycle, tmp_path_factory.mktemp("decoder"))


@pytest.fixture(scope="session")
def llama_graph(llama_model) -> onnx.ModelProto:
    """Its graph, since tracing takes seconds."""
    return onnx_graph(llama_model)


@pytest.fixture
def traced(llama_graph, monkeypatch) -> None:
    """Exports of `llama_model` start from `llama_graph`."""
    monkeypatch.setattr("slmrec.export.bundle.onnx_graph", lambda model: llama_graph)


@pytest.fixture(scope="session")
def int8(llama_model, llama_graph, cycle, tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """Folder and manifest of a bundle in int8, measured on data."""
    folder = tmp_path_factory.mktemp("int8") / "mine"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("slmrec.export.bundle.onnx_graph", lambda model: llama_graph)
        return folder, export_bundle(llama_model, folder, precision="int8", data=cycle)
