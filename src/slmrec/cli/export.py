"""`slmrec export`: a trained model as a bundle that needs no torch."""

import argparse
from pathlib import Path

from slmrec.cli import show
from slmrec.cli.arguments import add_data, add_out, check_out

EXAMPLES = """\
examples:
  slmrec export runs/ml-100k/student --to onnx --out bundles/student --data runs/ml-100k/data
  slmrec export runs/ml-100k/student --to onnx --precision int8 --out bundles/student-int8 --data runs/ml-100k/data
  slmrec export models/sasrec --to openvino --out bundles/sasrec
"""
INTERRUPTED = "nothing was written; type the same command again"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "export",
        help="write a model as a bundle that needs no torch",
        usage="slmrec export MODEL --to onnx|openvino --out DIR [--precision fp32|bf16|int8] [--data DIR]",
        description="Write a model folder as a bundle: its graph, items and ids, measured against the model itself.",
        epilog=EXAMPLES,
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    parser.add_argument("--to", required=True, choices=("onnx", "openvino"), help="what runs it")
    add_out(parser, "DIR", "folder of the bundle")
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16", "int8"),
        default="fp32",
        help="of the graph's matrix products (default: %(default)s)",
    )
    add_data(parser, required=False)
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    from slmrec.runtime.manifest import MANIFEST

    check_out(arguments.out, MANIFEST)
    from slmrec.data import Dataset
    from slmrec.export import export_bundle

    data = Dataset.load(arguments.data) if arguments.data else None
    manifest = export_bundle(arguments.model, arguments.out, arguments.to, arguments.precision, data)
    print(show.bundle(arguments.out, manifest))
