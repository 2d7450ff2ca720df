"""Models over HTTP: recommendations, known users' events, search, new items, explanations (docs/tasks/serve.md)."""

from slmrec.errors import UserError

try:
    import fastapi  # noqa: F401
    import orjson  # noqa: F401
    import prometheus_client  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    raise UserError(f"serving needs {error.name}; install it with: pip install 'slmrec[serve]'") from None

from slmrec.serving.app import create_app
from slmrec.serving.fleet import Fleet
from slmrec.serving.limits import Limits
from slmrec.serving.served import Served, load_served
from slmrec.serving.store import Event, Store, open_store

__all__ = ["Event", "Fleet", "Limits", "Served", "Store", "create_app", "load_served", "open_store"]
