"""Items: the catalogue that all served models share, and what a model knows of one."""

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from slmrec.errors import UserError
from slmrec.serving import schema
from slmrec.serving.answer import JSON
from slmrec.serving.audience import TOGETHER, USERS, audience
from slmrec.serving.likeness import most_like
from slmrec.serving.problems import Problem
from slmrec.serving.routes.told import BODY, QUEUED, told
from slmrec.serving.service import Service


def routes(service: Service) -> APIRouter:
    """/items."""
    router = APIRouter()
    fleet, store, worker = service.fleet, service.store, service.worker

    @router.get("/items", responses=told(schema.ItemsAnswer, 422))
    async def search(asked: Annotated[schema.SearchQuery, Query()]) -> Response:
        """Items whose text holds every word of the query; those that begin with it first."""
        view = fleet.view
        found = await asyncio.to_thread(view.shelf.search, asked.query, asked.limit, view.withdrawn)
        return JSON({"items": [{"item_id": item.item_id, "text": item.text} for item in found]})

    @router.post("/items", responses=told(schema.AddedAnswer, *BODY))
    async def add(body: schema.ItemsBody) -> Response:
        """Let new items be recommended by their text, at once and after a restart; withdrawn ones come back."""
        items = [item.model_dump(exclude_none=True) for item in body.items]
        try:
            return JSON(await service.change(fleet.add, items))
        except UserError as error:
            raise Problem(422, "refused", str(error), "body.items") from None

    @router.get("/items/{item_id}", responses=told(schema.WholeItemAnswer, 404, 422))
    async def item(item_id: schema.PathId) -> Response:
        """All that is known of an item."""
        view = fleet.view
        found = view.item(item_id)
        return JSON(
            {
                "item_id": found.item_id,
                "text": found.text,
                "attributes": found.attributes(),
                "withdrawn": item_id in view.withdrawn,
                "models": [served.name for served in view.models.values() if item_id in served.place],
            }
        )

    @router.delete("/items/{item_id}", responses=told(schema.WithdrawnAnswer, 404, 422, 503))
    async def withdraw(item_id: schema.PathId) -> Response:
        """Keep an item out of every list, from now on; `POST /items` lets it back in."""
        fleet.view.item(item_id)
        await service.change(fleet.withdraw, item_id)
        return JSON({"item_id": item_id, "withdrawn": True})

    @router.get("/items/{item_id}/similar", responses=told(schema.SimilarAnswer, 404, 422, *QUEUED))
    async def similar(item_id: schema.PathId, asked: Annotated[schema.SimilarQuery, Query()]) -> Response:
        """Items most like one, by the cosine of their vectors where the model has vectors."""
        name = fleet.view.model(asked.model, "query.model").name
        return JSON(await worker.submit(lambda: most_like(fleet.view, name, item_id, asked.k)))

    @router.get("/items/{item_id}/audience", responses=told(schema.AudienceAnswer, 404, 422, *QUEUED))
    async def suits(item_id: schema.PathId, asked: Annotated[schema.AudienceQuery, Query()]) -> Response:
        """Users in whose lists the item stands highest, among the 1,000 who were active last."""
        served = fleet.view.model(asked.model, "query.model")
        name = served.name
        if item_id not in served.place:
            raise Problem(404, "unknown_item", f"model '{name}' does not know the item '{item_id}'", "path.item_id")
        users = await service.keeper.submit(lambda: store.recent_users(USERS))
        found: list[dict[str, Any]] = []
        for start in range(0, len(users), TOGETHER):
            found += await worker.submit(partial(_members, service, name, item_id, users[start : start + TOGETHER]))
        found.sort(key=lambda member: (member["rank"], -member["score"]))
        return JSON({"model": name, "users": found[: asked.k], "considered": len(users)})

    return router


def _members(service: Service, name: str, item: str, users: list[str]) -> list[dict[str, Any]]:
    """Those of some users whom an item suits, as `audience` tells them."""
    view = service.fleet.view
    served = view.models[name]
    return audience(served, view, served.place[item], service.store.histories(users))
