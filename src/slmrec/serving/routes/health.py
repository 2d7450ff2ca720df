"""How the server is."""

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from slmrec.serving import schema
from slmrec.serving.answer import JSON
from slmrec.serving.routes.told import told
from slmrec.serving.service import Service


def routes(service: Service) -> APIRouter:
    """/health, /ready, /metrics."""
    router = APIRouter()

    @router.get("/health", responses=told(schema.StatusAnswer, key=False))
    async def health() -> Response:
        """Alive."""
        return JSON({"status": "alive"})

    @router.get("/ready", responses=told(schema.StatusAnswer, 503, key=False))
    async def ready() -> Response:
        """Whether it can answer: the models are loaded and the store is there."""
        await service.keeper.submit(service.store.revision)
        return JSON({"status": "ready"})

    @router.get("/metrics", response_class=PlainTextResponse, responses=told())
    async def prometheus() -> Response:
        """Counters for Prometheus."""
        return PlainTextResponse(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router
