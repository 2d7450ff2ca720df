"""Users and their events."""

from fastapi import APIRouter, Response

from slmrec.serving import schema
from slmrec.serving.answer import JSON
from slmrec.serving.routes.events import dated
from slmrec.serving.routes.told import BODY, QUEUED, told
from slmrec.serving.service import Service


def routes(service: Service) -> APIRouter:
    """/users."""
    router = APIRouter()
    fleet, store = service.fleet, service.store

    @router.post("/users/{user}/events", responses=told(schema.EventsAnswer, *BODY, *QUEUED))
    async def append(user: schema.PathId, body: schema.EventsBody) -> Response:
        """Keep events; they are on the disk before the answer. One whose id is known of this user is kept once."""
        events = dated(body.events, fleet.view, "body.events")
        accepted = await service.keeper.submit((user, events))
        return JSON({"accepted": accepted, "duplicates": len(events) - accepted})

    @router.get("/users/{user}/history", responses=told(schema.HistoryAnswer, 422, *QUEUED))
    async def history(user: schema.PathId) -> Response:
        """A user's events (the latest 10,000), oldest first."""
        kept = await service.keeper.submit(lambda: store.events(user))
        events = [{"event_id": e.event_id, "item_id": e.item_id, "timestamp": e.at / 1e6} for e in kept]
        return JSON({"user": user, "events": events})

    @router.delete("/users/{user}", responses=told(schema.ForgottenAnswer, 422, *QUEUED))
    async def forget(user: schema.PathId) -> Response:
        """Delete all that is kept of a user."""
        deleted = await service.keeper.submit(lambda: store.forget(user))

        def drop() -> None:
            for served in fleet.view.models.values():
                served.forget(user)

        await service.worker.submit(drop, urgent=True)
        return JSON({"user": user, "deleted": deleted})

    return router
