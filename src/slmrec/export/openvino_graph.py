"""An ONNX graph as OpenVINO's own two files."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from slmrec.errors import UserError

if TYPE_CHECKING:
    import onnx


def check_openvino(precision: str) -> None:
    """Raise UserError if OpenVINO is missing, or cannot run this precision here and so nothing could be measured."""
    try:
        import openvino
    except ImportError as error:
        raise UserError(
            f"export to openvino needs more packages ({error}); install them with `pip install 'slmrec[export]'`"
        ) from error
    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and "BF16" not in able:
        raise UserError(
            "this machine's processor does not compute in bf16, so the bundle could not be checked here; "
            "export on a machine that does, or take fp32 or int8"
        )


def write_openvino(proto: "onnx.ModelProto", path: Path) -> None:
    """Write encoder.xml and encoder.bin of a graph, its weights as they are."""
    import onnx
    import openvino

    with tempfile.TemporaryDirectory() as scratch:
        onnx.save(proto, Path(scratch) / "encoder.onnx")
        model = openvino.Core().read_model(Path(scratch) / "encoder.onnx")
        openvino.save_model(model, path, compress_to_fp16=False)
