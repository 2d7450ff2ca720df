"""A recommender's network as one ONNX graph: standard operators, any batch and length, nothing of this machine."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from slmrec.errors import UserError
from slmrec.export.graph import encoder_graph
from slmrec.models import DotProductRecommender
from slmrec.runtime.sessions import INPUTS, OUTPUT

if TYPE_CHECKING:
    import onnx

OPSET = 20
"""Old enough for every current runtime, browsers' too; new enough for LayerNormalization and Gelu as one operator."""


def check_packages() -> None:
    """Raise UserError if what exporting needs is not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"export needs more packages ({error}); install them with `pip install 'slmrec[export]'`"
        ) from error


def onnx_graph(model: DotProductRecommender) -> "onnx.ModelProto":
    """The graph `vectors` (B, L, d), `lengths` (B,) → `user` (B, d), in float32.

    Raises:
        UserError: a kind of model that has none.
    """
    import onnx

    graph = encoder_graph(model)
    width, longest = model.item_vectors().shape[1], model.config.max_length
    # An example's sizes must differ from each other and from 1, or they could be taken for the same or for constant.
    length = min(5, longest)
    batch = 3 if length != 3 else 4
    vectors = torch.randn(batch, length, width, generator=torch.Generator().manual_seed(0))
    lengths = torch.randint(1, length + 1, (batch,), generator=torch.Generator().manual_seed(0))
    rows = torch.export.Dim("batch")
    steps = {0: rows} if longest == 1 else {0: rows, 1: torch.export.Dim("length", max=longest)}
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            graph,
            (vectors, lengths),
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes={"vectors": steps, "lengths": {0: rows}},
            verbose=False,
        )
    assert program is not None
    proto = _plain(program.model_proto)
    onnx.checker.check_model(proto, full_check=True)
    for value in (*proto.graph.input, *proto.graph.output):
        free = [dim.dim_param for dim in value.type.tensor_type.shape.dim][: 2 if value.name == "vectors" else 1]
        if not all(free) and longest > 1:
            raise RuntimeError(f"the exported graph's '{value.name}' has sizes that are fixed: {free}")
    return proto


def _plain(proto: "onnx.ModelProto") -> "onnx.ModelProto":
    """Without the exporter's notes: each node tells which lines of which files on this machine it came from."""
    graph = proto.graph
    parts = (proto, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer)
    for part in parts:
        del part.metadata_props[:]
        part.doc_string = ""
    del proto.functions[:]
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own affairs: of packages we do not use, of names of sizes, of deprecations inside."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
