"""`slmrec export`: a trained model as a bundle that needs no torch, or as a page that runs it in the browser."""

import argparse
from pathlib import Path
from typing import Any

from slmrec.cli import show
from slmrec.cli.arguments import add_data, add_out, check_inputs, check_out
from slmrec.cli.progress import watching
from slmrec.errors import UserError

EXAMPLES = """\
examples:
  slmrec export runs/ml-100k/student --to onnx --out bundles/student --data runs/ml-100k/data
  slmrec export runs/ml-100k/student --to onnx --precision int8 --out bundles/student-int8 --data runs/ml-100k/data
  slmrec export models/sasrec --to openvino --out bundles/sasrec
  slmrec export runs/ml-100k/student runs/ml-100k/sasrec --to web --out page
"""
INTERRUPTED = "nothing was written; type the same command again"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "export",
        help="write a model as a bundle that needs no torch",
        usage="slmrec export MODEL... --to onnx|openvino|web --out DIR [--precision fp32|bf16|int8] [--data DIR]",
        description="Write a model folder as a bundle: its graph, items and ids, measured against the model itself; "
        "or models of one catalogue, folders or bundles, as a page of static files that runs them in the browser.",
        epilog=EXAMPLES,
    )
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="model folder; for the web several")
    parser.add_argument("--to", required=True, choices=("onnx", "openvino", "web"), help="what runs it")
    add_out(parser, "DIR", "folder of the bundle or the page")
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16", "int8"),
        help="of the graph's matrix products (default: fp32; int8 for the web)",
    )
    add_data(parser, required=False)
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    check_inputs(arguments.models, [arguments.data])
    from slmrec.runtime.manifest import MANIFEST

    web = arguments.to == "web"
    if len(arguments.models) > 1 and not web:
        raise UserError(f"{len(arguments.models)} models were given, but a bundle holds one; export them one by one")
    check_out(arguments.out, "web.json" if web else MANIFEST)
    from slmrec.data import Dataset
    from slmrec.export import export_bundle, export_web

    data = Dataset.load(arguments.data) if arguments.data else None
    if web:
        with watching() as progress:
            progress.stage(1, 1, f"page {arguments.out}")
            written = export_web(
                arguments.models,
                arguments.out,
                arguments.precision or "int8",
                data,
                report=lambda message: progress.progress(0, 0, message),
            )
        print(show.web(arguments.out, written))
    else:
        (model,) = arguments.models
        precision: Any = arguments.precision or "fp32"
        manifest = export_bundle(model, arguments.out, arguments.to, precision, data)
        print(show.bundle(arguments.out, manifest))
