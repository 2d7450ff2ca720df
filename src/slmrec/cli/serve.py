"""`slmrec serve`: models over HTTP."""

import argparse
import os
from contextlib import closing
from functools import partial
from pathlib import Path

from slmrec.cli.arguments import add_precision, check_inputs, count, positive
from slmrec.errors import UserError

EXAMPLES = """\
examples:
  slmrec serve runs/ml-100k/student
  slmrec serve student=runs/ml-100k/student sasrec=runs/ml-100k/sasrec --port 8000
  SLMREC_API_KEY=… slmrec serve bundle --host 0.0.0.0 --store postgresql://user@host/events
"""
INTERRUPTED = "the server has stopped; events that were acknowledged are kept"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "serve",
        help="answer over HTTP: recommendations, users' events, search, new items",
        usage="slmrec serve [NAME=]MODEL|BUNDLE … [--host HOST] [--port PORT] [--store FILE|postgresql://…]\n"
        "                    [--api-key KEY] [--precision fp32|bf16|int8] [--state-memory MB] [--queue N] [--batch N]\n"
        "                    [--seconds X] [--max-body BYTES] [--without-key]",
        description="Serve model folders and bundles; the first is the default, and each is called after its folder "
        "unless it is named. /openapi.json tells what can be asked; docs/tasks/serve.md shows it.",
        epilog=EXAMPLES,
    )
    parser.add_argument("models", nargs="+", metavar="[NAME=]MODEL|BUNDLE", help="model folder or bundle")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8080, help="port; 0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--store",
        default="slmrec-events.sqlite",
        metavar="FILE|URL",
        help="SQLite file of users' events, or a postgresql:// URL (default: %(default)s)",
    )
    parser.add_argument(
        "--api-key",
        metavar="KEY",
        help="what requests have to send as X-API-Key (default: SLMREC_API_KEY, which other users of the machine "
        "cannot read off the command line)",
    )
    parser.add_argument(
        "--without-key", action="store_true", help="listen beyond this machine though no API key is set"
    )
    add_precision(parser)
    parser.add_argument(
        "--state-memory",
        type=count,
        default=256,
        metavar="MB",
        help="for the states of each LLM recommender's known users (default: %(default)s)",
    )
    parser.add_argument(
        "--queue",
        type=count,
        default=32,
        metavar="N",
        help="requests at once; more are told to wait (default: %(default)s)",
    )
    parser.add_argument(
        "--batch", type=count, default=32, metavar="N", help="requests computed together (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=positive, default=10.0, metavar="X", help="time limit of an answer (default: %(default)g)"
    )
    parser.add_argument(
        "--max-body", type=count, default=2**20, metavar="BYTES", help="largest body (default: %(default)s)"
    )
    parser.set_defaults(run=run, interrupted=INTERRUPTED)


def run(arguments: argparse.Namespace) -> None:
    """Do it."""
    folders = [_named(text) for text in arguments.models]
    check_inputs([folder for _, folder in folders])
    for name, _ in folders:
        if [other for other, _ in folders].count(name) > 1:
            raise UserError(f"two models are called '{name}'; give them names: NAME=FOLDER")
    api_key = arguments.api_key or os.environ.get("SLMREC_API_KEY") or None
    # Before torch is loaded: its threads spin while they wait for each other, and here others need the cores. On two
    # cores that were shared it cost 40 times the work itself.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from slmrec.serving import Fleet, Limits, create_app, load_served, open_store
    from slmrec.serving.server import is_loopback, listen, serve, settle

    if not (is_loopback(arguments.host) or api_key or arguments.without_key):
        raise UserError(
            f"{arguments.host} can be reached from other machines, and no API key is set; set SLMREC_API_KEY, "
            "or say --without-key"
        )
    limits = Limits(body=arguments.max_body, seconds=arguments.seconds, queue=arguments.queue, batch=arguments.batch)
    load = partial(load_served, precision=arguments.precision, state_bytes=arguments.state_memory * 2**20)
    with listen(arguments.host, arguments.port) as listening, closing(open_store(arguments.store)) as store:
        fleet = Fleet([load(name, folder) for name, folder in folders], store, load)
        app = create_app(fleet, store, limits=limits, api_key=api_key)
        settle()
        host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
        print(f"serving {', '.join(fleet.view.models)} at http://{host}:{listening.getsockname()[1]}", flush=True)
        serve(app, listening, limits)


def _named(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    path = Path(folder if equals else text)
    return name if equals else path.absolute().name, path


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"it is '{text}', but must be a port, 0 to 65535")
    return int(text)
