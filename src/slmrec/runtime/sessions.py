"""A bundle's graph, ready to run by onnxruntime or OpenVINO."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from slmrec.errors import UserError

Session = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(B, L, d) float32 vectors and (B,) int64 lengths to (B, d) float32 user vectors; any number of threads may call."""
INPUTS, OUTPUT = ("vectors", "lengths"), "user"


def open_session(graph: Path, precision: str, width: int, threads: int | None) -> Session:
    """Read a graph: `.onnx` by onnxruntime, `.xml` by OpenVINO.

    Args:
        graph: the file.
        precision: of the bundle; "bf16" needs a processor that computes in it.
        width: d, which inputs and output must have.
        threads: threads of one call; None: the library's own choice.

    Raises:
        UserError: a package is missing, the file is no such graph, or this machine cannot run it.
    """
    return (
        _onnxruntime(graph, width, threads) if graph.suffix == ".onnx" else _openvino(graph, precision, width, threads)
    )


def _onnxruntime(graph: Path, width: int, threads: int | None) -> Session:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"{graph} needs the package onnxruntime ({error}); install it with `pip install 'slmrec[runtime]'`"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session: Any = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions have no common class
        raise UserError(f"{graph} cannot be run by onnxruntime ({_first_line(error)}); export it again") from error
    shapes = {value.name: value.shape for value in [*session.get_inputs(), *session.get_outputs()]}
    _check_shapes(graph, shapes, width)

    def run(vectors: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return session.run([OUTPUT], dict(zip(INPUTS, (vectors, lengths), strict=True)))[0]

    return run


def _openvino(graph: Path, precision: str, width: int, threads: int | None) -> Session:
    try:
        import openvino
    except ImportError as error:
        raise UserError(
            f"{graph} needs the package openvino ({error}); install it with `pip install openvino`, "
            "or export the model to onnx"
        ) from error
    core = openvino.Core()
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and "BF16" not in able:
        raise UserError(
            f"{graph} is of precision bf16, which this machine's processor does not compute in "
            f"(it has {', '.join(able)}); export fp32 or int8 instead"
        )
    # Left to itself OpenVINO computes in less than 32 bits where the machine can, and says nothing of it.
    hints: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    }
    if threads is not None:
        hints["INFERENCE_NUM_THREADS"] = threads
    try:
        model = core.read_model(graph)
        shapes = {value.any_name: value.partial_shape for value in [*model.inputs, *model.outputs]}
        compiled = core.compile_model(model, "CPU", hints)
    except RuntimeError as error:
        raise UserError(f"{graph} cannot be run by OpenVINO ({_first_line(error)}); export it again") from error
    _check_shapes(
        graph, {name: [d.get_length() if d.is_static else None for d in shape] for name, shape in shapes.items()}, width
    )
    own = threading.local()  # a request holds one call's inputs and outputs

    def run(vectors: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        return own.request.infer(dict(zip(INPUTS, (vectors, lengths), strict=True)))[OUTPUT].copy()

    return run


def _check_shapes(graph: Path, shapes: dict[str, Any], width: int) -> None:
    """Refuse a graph that is not of (B, L, d), (B,) → (B, d)."""
    wanted = {"vectors": (3, width), "lengths": (1, None), "user": (2, width)}
    for name, (axes, last) in wanted.items():
        shape = shapes.get(name)
        if shape is None:
            raise UserError(f"{graph} has no input or output '{name}', so it is no encoder of ours; export it again")
        if (
            len(shape) != axes
            or (last is not None and shape[-1] != last)
            or any(isinstance(s, int) for s in shape[:-1])
        ):
            raise UserError(
                f"{graph} does not fit its items: '{name}' has the shape {list(shape)}, but items are {width} wide; "
                "copy or export the bundle again"
            )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
