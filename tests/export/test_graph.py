"""Every kind's graph against the torch model, over random histories of any number and length.

What needs a bundle of each kind stands in this file, so that one worker exports them all, once.
"""

import json

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slmrec.errors import UserError
from slmrec.export.graph import check_exportable, encoder_graph
from slmrec.models import ItemKNN, ItemKNNConfig, Popularity
from slmrec.training.build import build_classic, build_llm, build_residual
from slmrec.training.options import LLMOptions, SASRecOptions

HISTORIES = st.lists(st.lists(st.integers(1, 20), min_size=1, max_size=12), min_size=1, max_size=9)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=HISTORIES)
def test_user_vectors_are_those_of_torch(exported, drawn):
    histories = [np.array(history, dtype=np.int32) for history in drawn]
    wanted = exported.model.encode(histories).numpy()
    np.testing.assert_allclose(exported.bundle.encode(histories), wanted, rtol=1e-4, atol=1e-5)


def test_padding_may_hold_anything(exported):
    graph = encoder_graph(exported.model)
    vectors = torch.randn(2, 5, exported.model.item_vectors().shape[1])
    lengths = torch.tensor([5, 2])
    other = vectors.clone()
    other[1, 2:] = 100.0
    with torch.no_grad():
        torch.testing.assert_close(graph(other, lengths), graph(vectors, lengths))


def test_the_graph_is_standard_free_in_its_sizes_and_tells_nothing_of_this_machine(exported):
    proto = onnx.load(exported.folder / "encoder.onnx")
    onnx.checker.check_model(proto, full_check=True)
    assert {node.domain for node in proto.graph.node} == {""}
    shapes = {
        value.name: [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]
        for value in (*proto.graph.input, *proto.graph.output)
    }
    width = exported.model.item_vectors().shape[1]
    assert shapes == {"vectors": [None, None, width], "lengths": [None], "user": [None, width]}
    content = (exported.folder / "encoder.onnx").read_bytes()
    assert b".py" not in content
    assert b"site-packages" not in content


def test_float32_gives_torchs_lists_and_says_so(exported):
    manifest = json.loads((exported.folder / "manifest.json").read_text())
    parity = manifest["parity"]
    assert parity["on"] == "random histories"
    assert parity["same_except_ties"] == parity["histories"] == 256
    assert parity["overlap@10"] > 0.999
    assert parity["largest_difference"] < 1e-4
    assert manifest["latency"]["median_ms"] <= manifest["latency"]["p95_ms"]
    assert manifest["parameters"] == exported.model.parameter_counts()["without_vocabulary"]
    assert {path.name for path in exported.folder.iterdir()} == {*manifest["files"], "manifest.json"}
    assert np.array_equal(exported.bundle.item_vectors(), exported.model.item_vectors().detach().numpy())


@pytest.mark.parametrize("kind", ["popularity", "item_knn"])
def test_kinds_without_user_vectors_are_refused_by_name(kind, cycle):
    model = Popularity.from_data(cycle) if kind == "popularity" else ItemKNN(ItemKNNConfig(num_items=20))
    with pytest.raises(UserError, match=f"a model of kind {model.kind} makes no user vectors"):
        check_exportable(model)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"item_titles": True}, "reads items by their titles too"), ({"residual": "frozen"}, "adds an llm to a classic")],
)
def test_models_that_read_more_than_the_item_table_are_refused(options, said, cycle, llama):
    chosen = LLMOptions(backbone=str(llama), layers=1, max_length=7, **options)
    if chosen.residual:
        classic = build_classic(cycle, SASRecOptions(hidden_size=8, max_length=7), None)
        model = build_residual(cycle, chosen, classic)
    else:
        model = build_llm(cycle, chosen, None)
    with pytest.raises(UserError, match=said):
        check_exportable(model)
