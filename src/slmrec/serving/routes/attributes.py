"""What items can be filtered by."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from slmrec.serving import schema
from slmrec.serving.answer import JSON
from slmrec.serving.routes.told import told
from slmrec.serving.served import Served
from slmrec.serving.service import Service


def routes(service: Service) -> APIRouter:
    """/attributes."""
    router = APIRouter()

    @router.get("/attributes", responses=told(schema.AttributesAnswer, 422))
    async def attributes(asked: Annotated[schema.ModelQuery, Query()]) -> Response:
        """What a model's items can be filtered by."""
        served = service.fleet.view.model(asked.model, "query.model")
        return JSON({"attributes": await asyncio.to_thread(_choices, served)})

    return router


def _choices(served: Served) -> list[dict[str, Any]]:
    """Attributes with their values, of which there may not be too many to choose from."""
    counts = {name: served.attribute(name).counts for name in served.columns}
    return [
        {"name": name, "values": [{"value": value, "count": count} for value, count in values]}
        for name, values in counts.items()
        if 0 < len(values) <= schema.VALUES
    ]
