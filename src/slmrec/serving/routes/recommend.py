"""Recommendations, and why an item is one."""

import asyncio
import time

from fastapi import APIRouter, Response
from pydantic import ValidationError
from pydantic_core import from_json

from slmrec.serving import schema
from slmrec.serving.answer import JSON
from slmrec.serving.explain import explain
from slmrec.serving.fleet import View
from slmrec.serving.problems import malformed
from slmrec.serving.recommending import Ask
from slmrec.serving.routes.events import dated
from slmrec.serving.routes.told import BODY, QUEUED, told
from slmrec.serving.service import Service


def routes(service: Service) -> APIRouter:
    """/recommend and /explain."""
    router = APIRouter()

    @router.post("/recommend", responses=told(schema.RecommendAnswer, *BODY, *QUEUED, 404))
    async def recommend_one(body: schema.RecommendBody) -> Response:
        """The best next items of a history, or of a known user (404 where nothing is known of one).

        New events of the user can come with it: they are on the disk before the answer, also where it is a refusal
        (404 and 422 that tell of what the history, once read, cannot be used for). Sent again, they are kept once.
        """
        return await _one(service, body)

    @router.post("/recommend/batch", responses=told(schema.BatchAnswer, *BODY, *QUEUED, 404))
    async def recommend_many(body: schema.BatchBody) -> Response:
        """Several lists at once."""
        started = time.perf_counter()
        view = service.fleet.view
        asks = [_asked(one, view, f"body.requests.{place}", started) for place, one in enumerate(body.requests)]
        waiting = [service.worker.submit(ask, urgent=bool(place)) for place, ask in enumerate(asks)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return JSON({"results": results})

    @router.post("/explain", responses=told(schema.ExplainAnswer, *BODY, *QUEUED))
    async def explain_one(body: schema.ExplainBody) -> Response:
        """What each event of a history contributes to an item's score: score with all events minus without that one."""
        fleet = service.fleet
        name = fleet.view.model(body.model, "body.model").name
        return JSON(await service.worker.submit(lambda: explain(fleet.view.models[name], body.history, body.item_id)))

    return router


async def from_bytes(service: Service, sent: bytes) -> Response:
    """What `POST /recommend` answers, from the body as it came.

    Raises:
        Problem: the request is refused.
    """
    try:
        body = schema.RecommendBody.model_validate_json(sent)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        placed = [{**one, "loc": ("body", *one["loc"])} for one in found]
        raise malformed(placed, None if found[0]["type"] == "json_invalid" else from_json(sent)) from None
    return await _one(service, body)


async def _one(service: Service, body: schema.RecommendBody) -> Response:
    return JSON(await service.worker.submit(_asked(body, service.fleet.view, "body", time.perf_counter())))


def _asked(body: schema.RecommendBody, view: View, where: str, started: float) -> Ask:
    return Ask(
        model=view.model(body.model, f"{where}.model").name,
        history=body.history,
        user=None if body.user is None else str(body.user),
        k=body.k,
        events=dated(body.events or (), view, f"{where}.events"),
        exclude_seen=body.exclude_seen,
        allow=body.allow,
        deny=body.deny,
        filters=body.filters,
        diversity=body.diversity,
        explain=body.explain,
        unknown=body.unknown,
        where=where,
        started=started,
    )
