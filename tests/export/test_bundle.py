"""What an export writes and measures; int8 against NumPy's integers; refusals before any work."""

import builtins

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from slmrec.data import Dataset
from slmrec.errors import UserError
from slmrec.evaluation import evaluate
from slmrec.export import export_bundle
from slmrec.export.parity import compared
from slmrec.export.quantize import dynamic_int8, weights_int8
from slmrec.models import Popularity
from slmrec.runtime import Bundle


def product_graph(matrix: np.ndarray, bias: np.ndarray | None = None) -> onnx.ModelProto:
    """x (B, n) → x W, or x W + b as one Gemm."""
    initializers = [numpy_helper.from_array(matrix, "W")]
    node = helper.make_node("MatMul", ["x", "W"], ["y"])
    if bias is not None:
        initializers.append(numpy_helper.from_array(bias, "b"))
        node = helper.make_node("Gemm", ["x", "W", "b"], ["y"])
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", matrix.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", matrix.shape[1]])],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def ran(proto: onnx.ModelProto, inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": inputs})[0]


@pytest.mark.parametrize("biased", [False, True])
def test_int8_is_integer_arithmetic_with_a_scale_a_row(biased):
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(64, 24)).astype(np.float32)
    matrix[:, 3] = 0
    bias = generator.normal(size=24).astype(np.float32) if biased else None
    inputs = generator.normal(size=(6, 64)).astype(np.float32)
    inputs[2] *= 1e4
    inputs[4] = 0
    weight_scale = np.maximum(np.abs(matrix).max(axis=0) / 63, 1e-30)
    input_scale = np.maximum(np.abs(inputs).max(axis=1, keepdims=True) / 127, 1e-30)
    wanted = np.rint(inputs / input_scale).astype(np.int32) @ np.rint(matrix / weight_scale).astype(np.int32)
    wanted = wanted * input_scale * weight_scale + (0 if bias is None else bias)
    found = ran(dynamic_int8(product_graph(matrix, bias)), inputs)
    # A value between two steps may round to either.
    assert (np.abs(found - wanted) <= 2 * input_scale * np.abs(matrix).max()).all()
    assert np.abs(found - wanted).mean() < 1e-3 * np.abs(wanted).mean()
    exact = inputs @ matrix + (0 if bias is None else bias)
    assert 0 < np.abs(found - exact)[:2].max() < 0.05 * np.abs(exact[:2]).max()


def test_the_largest_sums_of_int8_do_not_overflow():
    """All inputs and weights at their largest: 16-bit sums of two products would wrap with 8 bits on both sides."""
    found = ran(dynamic_int8(product_graph(np.ones((256, 32), dtype=np.float32))), np.ones((5, 256), np.float32))
    np.testing.assert_allclose(found, 256, rtol=1e-5)


def test_weights_alone_in_int8_are_the_rounded_matrix():
    generator = np.random.default_rng(0)
    matrix, inputs = generator.normal(size=(64, 24)).astype(np.float32), generator.normal(size=(6, 64))
    scale = np.abs(matrix).max(axis=0) / 127
    wanted = inputs @ (np.rint(matrix / scale) * scale)
    proto = weights_int8(product_graph(matrix))
    # onnxruntime would round the inputs too, so ONNX's own interpreter runs it here.
    (found,) = ReferenceEvaluator(proto).run(None, {"x": inputs.astype(np.float32)})
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    assert {tensor.data_type for tensor in proto.graph.initializer} == {TensorProto.INT8, TensorProto.FLOAT}


class TestOnnx:
    """Bundles for onnxruntime."""

    def test_int8_tells_what_it_changed(self, int8, llama_model, cycle):
        folder, manifest = int8
        parity = manifest["parity"]
        assert parity["on"] == "every test case of cycle"
        assert parity["histories"] == len(cycle.cases("test"))
        assert parity["torch_NDCG@10"] == evaluate(llama_model, cycle, "test").metrics["NDCG@10"]
        assert parity["change_of_NDCG@10"] == parity["bundle_NDCG@10"] - parity["torch_NDCG@10"]
        assert 0.7 < parity["overlap@10"] <= 1
        assert 1e-4 < parity["largest_difference"] < 0.2
        assert manifest["name"] == "mine"
        card = (folder / "README.md").read_text()
        for said in ("# mine", "int8", f"{parity['overlap@10']:.2%}", "NDCG@10", "Bundle.load", "20 items"):
            assert said in card

    def test_an_int8_answer_does_not_depend_on_its_batch(self, int8):
        bundle = Bundle.load(int8[0], threads=1)
        histories = [np.array(row, dtype=np.int32) for row in ([1, 2, 3], [4, 5, 6, 7, 8], [9], [20, 19, 18, 1])]
        alone = np.concatenate([bundle.encode([history]) for history in histories])
        np.testing.assert_allclose(bundle.encode(histories), alone, rtol=1e-4, atol=1e-4)

    def test_the_model_is_left_as_it_was(self, int8, llama_model):
        assert llama_model.backbone.layers[0].self_attn.q_proj.weight.requires_grad
        llama_model.train()
        assert llama_model.training
        llama_model.eval()

    def test_a_graph_that_differs_is_never_written(self, llama_model, llama_graph, tmp_path, monkeypatch):
        def wrong(model):
            proto = onnx.ModelProto()
            proto.CopyFrom(llama_graph)
            for tensor in proto.graph.initializer:
                if tensor.name == "output_adapter.bias":
                    tensor.raw_data = numpy_helper.from_array(
                        numpy_helper.to_array(tensor) + np.arange(8, dtype=np.float32)
                    ).raw_data
            return proto

        monkeypatch.setattr("slmrec.export.bundle.onnx_graph", wrong)
        with pytest.raises(RuntimeError, match="lists differ from torch's for"):
            export_bundle(llama_model, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("traced")
class TestOpenVINO:
    """Bundles for OpenVINO."""

    @pytest.mark.parametrize("precision", ["fp32", "int8"])
    def test_it_answers_as_torch_does(self, precision, llama_model, tmp_path):
        manifest = export_bundle(llama_model, tmp_path / precision, to="openvino", precision=precision)
        assert set(manifest["files"]) == {"encoder.xml", "encoder.bin", "items.npy", "catalogue.json", "README.md"}
        assert manifest["parity"]["overlap@10"] > (0.999 if precision == "fp32" else 0.9)
        bundle = Bundle.load(tmp_path / precision, threads=1)
        histories = [np.arange(1, n, dtype=np.int32) for n in (2, 9, 4)]
        tolerance = 1e-4 if precision == "fp32" else 0.2
        np.testing.assert_allclose(
            bundle.encode(histories), llama_model.encode(histories).numpy(), rtol=tolerance, atol=tolerance
        )

    def test_int8_is_a_quarter_of_the_matrices(self, llama_model, tmp_path):
        sizes = [
            export_bundle(llama_model, tmp_path / p, to="openvino", precision=p)["files"]["encoder.bin"]["bytes"]
            for p in ("fp32", "int8")
        ]
        assert sizes[1] < 0.5 * sizes[0]  # norms, scales and the prompt stay

    def test_bf16_needs_a_processor_that_has_it(self, llama_model, tmp_path):
        import openvino

        if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            assert export_bundle(llama_model, tmp_path / "b", to="openvino", precision="bf16")["precision"] == "bf16"
            return
        with pytest.raises(UserError, match="does not compute in bf16"):
            export_bundle(llama_model, tmp_path / "b", to="openvino", precision="bf16")


class TestRefusals:
    """Each before anything is computed."""

    @pytest.fixture(autouse=True)
    def no_work(self, monkeypatch):
        monkeypatch.setattr("slmrec.export.bundle.onnx_graph", lambda *_: pytest.fail("it went on to export"))

    def test_choices(self, llama_model, tmp_path):
        for words, message in (
            ({"to": "onyx"}, "the format is 'onyx'; did you mean 'onnx'"),
            ({"precision": "int4"}, "precision is 'int4'; did you mean 'int8'"),
            ({"precision": "bf16"}, "no bf16 products on CPUs"),
        ):
            with pytest.raises(UserError, match=message):
                export_bundle(llama_model, tmp_path / "out", **words)

    def test_kinds(self, cycle, tmp_path):
        with pytest.raises(UserError, match="kind popularity makes no user vectors"):
            export_bundle(Popularity.from_data(cycle), tmp_path / "out")

    def test_unmerged_lora(self, llama_model, tmp_path, monkeypatch):
        monkeypatch.setattr(llama_model.config, "lora", {"r": 2})
        with pytest.raises(UserError, match="LoRA is not merged"):
            export_bundle(llama_model, tmp_path / "out")

    def test_other_data(self, llama_model, tmp_path):
        import polars as pl

        other = Dataset.from_frame(pl.DataFrame({"user_id": [1] * 4, "item_id": [1, 2, 3, 4]}))
        with pytest.raises(UserError, match="the model knows 20 items, 'frame' has 4 others"):
            export_bundle(llama_model, tmp_path / "out", data=other)

    def test_a_folder_that_is_not_ours(self, llama_model, tmp_path):
        (tmp_path / "precious.txt").write_text("x")
        with pytest.raises(UserError, match=r"holds files but no manifest\.json"):
            export_bundle(llama_model, tmp_path)

    @pytest.mark.parametrize(("missing", "to"), [("onnxscript", "onnx"), ("openvino", "openvino")])
    def test_missing_packages_name_the_extra(self, missing, to, llama_model, tmp_path, monkeypatch):
        real = builtins.__import__

        def absent(name, *args, **kwargs):
            if name.split(".")[0] == missing:
                raise ImportError(f"No module named '{missing}'")
            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", absent)
        with pytest.raises(UserError, match=rf"{missing}.*slmrec\[export\]"):
            export_bundle(llama_model, tmp_path / "out", to=to)


def test_ties_are_no_difference_but_everything_else_is():
    """Two items that torch scores alike may change places; two that it does not may not."""
    seen = [np.array([4])]
    theirs = np.array([[1.0, 1.0 + 1e-6, 0.5, 0.1]], dtype=np.float32)

    def told(*columns: int) -> dict[str, float]:
        found = compared(theirs, (np.array([[*columns, 3]]), np.array([[0.0, 0.0, 0.0, -np.inf]])), seen)
        return {name: values.item() for name, values in found.items()}

    same = told(1, 0, 2)
    assert (same["same"], same["alike"], same["shared"]) == (True, True, 1.0)
    swapped = told(0, 1, 2)
    assert (swapped["same"], swapped["alike"], swapped["shared"]) == (False, True, 1.0)
    turned = told(2, 1, 0)
    assert (turned["same"], turned["alike"]) == (False, False)
    assert turned["shared"] == 1.0  # three items are left, whatever their order
    assert turned["difference"] == turned["largest"] == pytest.approx(1.0)  # the bundle said 0 of an item of 1
    assert torch.get_num_threads() == 1
