"""The application: the routes over one service, and what stands before them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from fastapi import FastAPI

from slmrec.serving.fleet import Fleet
from slmrec.serving.handlers import HANDLERS
from slmrec.serving.limits import Admission, Guard, Limits
from slmrec.serving.routes import attributes, health, items, models, page, recommend, users
from slmrec.serving.service import Service
from slmrec.serving.store import Store


def create_app(fleet: Fleet, store: Store, *, limits: Limits | None = None, api_key: str | None = None) -> FastAPI:
    """The ASGI application.

    Args:
        fleet: the served models.
        store: events and changes of the catalogue; it is closed when the application ends.
        limits: what a request may cost.
        api_key: what has to come as `X-API-Key`; None: nothing, and then models cannot be swapped.
    """
    limits = limits or Limits()
    service = Service(fleet, store, limits, api_key)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        refreshing = asyncio.create_task(service.refresh())
        yield
        refreshing.cancel()
        with suppress(asyncio.CancelledError):
            await refreshing
        await service.close()

    app = FastAPI(
        title="slmrec",
        version="1",
        description="Recommendations from sequential recommenders.",
        redirect_slashes=False,
        docs_url=None,  # both pages would come from another host
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers=HANDLERS,
    )
    for module in (health, models, recommend, users, items, attributes):
        app.include_router(module.routes(service))
    pages = page.pages()
    app.include_router(page.routes(pages))
    app.state.admission = admission = Admission(lambda: service.worker.full, service.metrics)
    app.add_middleware(
        Guard,
        limits=limits,
        api_key=api_key,
        admission=admission,
        metrics=service.metrics,
        public=frozenset({"/", "/health", "/ready", "/openapi.json", *pages}),
        direct={("POST", "/recommend"): partial(recommend.from_bytes, service)},
    )
    return app
