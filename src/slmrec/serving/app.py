"""The routes: JSON in, JSON out, as docs/tasks/serve.md shows by example and /openapi.json tells in full."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, PlainTextResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from slmrec.errors import UserError
from slmrec.serving import schema
from slmrec.serving.answer import JSON
from slmrec.serving.audience import TOGETHER, USERS, audience
from slmrec.serving.batching import Batcher
from slmrec.serving.explain import explain
from slmrec.serving.fleet import Fleet
from slmrec.serving.limits import Admission, Guard, Limits
from slmrec.serving.logs import log
from slmrec.serving.metrics import Metrics
from slmrec.serving.problems import Problem, malformed, unreachable
from slmrec.serving.recommending import Ask, recommend
from slmrec.serving.store import Event, Store, StoreError

EVENTS_QUEUE = 1024
"""Calls that wait for the store or are kept."""
REFRESH = 2.0
"""Seconds between looks at what other servers changed."""
Call = Callable[[], Any]
Sent = TypeVar("Sent", bound=BaseModel)


def create_app(fleet: Fleet, store: Store, *, limits: Limits | None = None, api_key: str | None = None) -> FastAPI:
    """The ASGI application.

    Args:
        fleet: the served models.
        store: events and changes of the catalogue; it is closed when the application ends.
        limits: what a request may cost.
        api_key: what has to come as `X-API-Key`; None: nothing, and then models cannot be swapped.
    """
    limits = limits or Limits()
    metrics = Metrics()

    def compute(jobs: Sequence[Ask | Call]) -> list[Any]:
        asks = [job for job in jobs if isinstance(job, Ask)]
        answers = iter(recommend(asks, fleet.view, store))
        return [next(answers) if isinstance(job, Ask) else _attempt(job) for job in jobs]

    worker: Batcher[Ask | Call] = Batcher(
        "slmrec-worker",
        compute,
        most=limits.batch,
        wait=limits.wait_ms / 1e3,
        queue=limits.queue,
        told=lambda size: metrics.batch("worker", size),
    )
    keeper: Batcher[tuple[str, list[Event]] | Call] = Batcher(
        "slmrec-store",
        lambda jobs: _keep(store, jobs),
        most=256,
        wait=0.0,
        queue=EVENTS_QUEUE,
        told=lambda size: metrics.batch("store", size),
    )
    changes = ThreadPoolExecutor(1, "slmrec-changes")
    metrics.watch("queue_length", "Requests that wait for the worker or are computed.", lambda: len(worker))
    metrics.watch("store_queue_length", "Calls that wait for the store or are kept.", lambda: len(keeper))
    metrics.watch(
        "user_state_bytes",
        "Memory of users' states.",
        lambda: sum(served.state_bytes for served in fleet.view.models.values()),
    )

    async def change(work: Callable[..., Any], *given: Any) -> Any:
        """Change the fleet, one change at a time."""
        try:
            return await asyncio.get_running_loop().run_in_executor(changes, work, *given)
        except StoreError as error:
            raise unreachable(error) from error

    async def looking() -> None:
        while True:
            await asyncio.sleep(REFRESH)
            try:
                await change(fleet.refresh)
            except Exception as error:  # the store may be back, or the model be swapped, by the next time
                log("error", "refresh", error=type(error).__name__)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        look = asyncio.create_task(looking())
        yield
        look.cancel()
        with suppress(asyncio.CancelledError):
            await look
        await asyncio.to_thread(worker.stop)
        await asyncio.to_thread(keeper.stop)
        await asyncio.to_thread(changes.shutdown)
        store.close()

    app = FastAPI(
        title="slmrec",
        version="1",
        description="Recommendations from sequential recommenders.",
        redirect_slashes=False,
        docs_url=None,  # both pages would come from another host
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.admission = admission = Admission(lambda: worker.full, metrics)
    pages = _pages(Path(str(files("slmrec"))) / "page")

    # -- how it is --------------------------------------------------------------------------------------------

    @app.get("/health", responses=_told(schema.StatusAnswer, key=False))
    async def health() -> Response:
        """Alive."""
        return JSON({"status": "alive"})

    @app.get("/ready", responses=_told(schema.StatusAnswer, 503, key=False))
    async def ready() -> Response:
        """Whether it can answer: the models are loaded and the store is there."""
        await keeper.submit(store.revision)
        return JSON({"status": "ready"})

    @app.get("/metrics", response_class=PlainTextResponse, responses=_told())
    async def prometheus() -> Response:
        """Counters for Prometheus."""
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    # -- models -----------------------------------------------------------------------------------------------

    @app.get("/models", responses=_told(schema.ModelsAnswer))
    async def models() -> Response:
        """What is served; `milliseconds` is a lone request's median time, measured when the model was loaded."""
        view = fleet.view
        return JSON({"models": [served.facts() for served in view.models.values()], "default": view.default})

    @app.put("/models/{name}", responses=_told(schema.ModelAnswer, *_BODY, 403))
    async def swap(name: schema.ModelName, body: schema.ModelBody) -> Response:
        """Serve another model under a name, in whole or not at all. Needs an API key to be set."""
        if api_key is None:
            raise Problem(403, "no_key", "models are swapped only where an API key is set; start the server with one")
        try:
            served = await change(fleet.swap, name, Path(body.path))
        except UserError as error:
            raise Problem(422, "no_model", str(error), "body.path") from None
        log("info", "swapped", model=name)
        return JSON(served.facts())

    # -- recommending -----------------------------------------------------------------------------------------

    def dated(bodies: Sequence[schema.EventBody], where: str) -> list[Event]:
        """Events as they are kept."""
        now = time.time()
        shelf = fleet.view.shelf.items
        unknown = [event for event in bodies if str(event.item_id) not in shelf]
        if unknown:
            said = f"no served model knows {len(unknown)} of the items, the first is '{unknown[0].item_id}'"
            raise Problem(422, "unknown_items", f"{said}; add it first, or leave it out", where)
        return [
            Event(
                str(event.event_id),
                str(event.item_id),
                round(1e6 * (now if event.timestamp is None else event.timestamp)),
            )
            for event in bodies
        ]

    def asked(body: schema.RecommendBody, where: str, started: float) -> Ask:
        return Ask(
            model=fleet.view.model(body.model, f"{where}.model").name,
            history=body.history,
            user=None if body.user is None else str(body.user),
            k=body.k,
            events=dated(body.events or (), f"{where}.events"),
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

    @app.post("/recommend", responses=_told(schema.RecommendAnswer, *_BODY, *_QUEUED, 404))
    async def recommend_one(body: schema.RecommendBody) -> Response:
        """The best next items of a history, or of a known user (404 where nothing is known of one).

        New events of the user can come with it: they are on the disk before the answer, also where it is a refusal
        (404 and 422 that tell of what the history, once read, cannot be used for). Sent again, they are kept once.
        """
        return JSON(await worker.submit(asked(body, "body", time.perf_counter())))

    @app.post("/recommend/batch", responses=_told(schema.BatchAnswer, *_BODY, *_QUEUED, 404))
    async def recommend_many(body: schema.BatchBody) -> Response:
        """Several lists at once."""
        started = time.perf_counter()
        asks = [asked(one, f"body.requests.{place}", started) for place, one in enumerate(body.requests)]
        waiting = [worker.submit(ask, urgent=bool(place)) for place, ask in enumerate(asks)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return JSON({"results": results})

    @app.post("/explain", responses=_told(schema.ExplainAnswer, *_BODY, *_QUEUED))
    async def explain_one(body: schema.ExplainBody) -> Response:
        """What each event of a history contributes to an item's score: score with all events minus without that one."""
        name = fleet.view.model(body.model, "body.model").name
        return JSON(await worker.submit(lambda: explain(fleet.view.models[name], body.history, body.item_id)))

    # -- users ------------------------------------------------------------------------------------------------

    @app.post("/users/{user}/events", responses=_told(schema.EventsAnswer, *_BODY, *_QUEUED))
    async def append(user: schema.PathId, body: schema.EventsBody) -> Response:
        """Keep events; they are on the disk before the answer. One whose id is known of this user is kept once."""
        events = dated(body.events, "body.events")
        accepted = await keeper.submit((user, events))
        return JSON({"accepted": accepted, "duplicates": len(events) - accepted})

    @app.get("/users/{user}/history", responses=_told(schema.HistoryAnswer, 422, *_QUEUED))
    async def history(user: schema.PathId) -> Response:
        """A user's events (the latest 10,000), oldest first."""
        events = await keeper.submit(lambda: store.events(user))
        told = [{"event_id": e.event_id, "item_id": e.item_id, "timestamp": e.at / 1e6} for e in events]
        return JSON({"user": user, "events": told})

    @app.delete("/users/{user}", responses=_told(schema.ForgottenAnswer, 422, *_QUEUED))
    async def forget(user: schema.PathId) -> Response:
        """Delete all that is kept of a user."""
        deleted = await keeper.submit(lambda: store.forget(user))

        def drop() -> None:
            for served in fleet.view.models.values():
                served.forget(user)

        await worker.submit(drop, urgent=True)
        return JSON({"user": user, "deleted": deleted})

    # -- items ------------------------------------------------------------------------------------------------

    @app.get("/items", responses=_told(schema.ItemsAnswer, 422))
    async def search(
        query: Annotated[str, Query(max_length=200)] = "", limit: Annotated[int, Query(ge=1, le=100)] = 20
    ) -> Response:
        """Items whose text holds every word of the query; those that begin with it first."""
        view = fleet.view
        found = await asyncio.to_thread(view.shelf.search, query, limit, view.withdrawn)
        return JSON({"items": [{"item_id": item.item_id, "text": item.text} for item in found]})

    @app.post("/items", responses=_told(schema.AddedAnswer, *_BODY))
    async def add(body: schema.ItemsBody) -> Response:
        """Let new items be recommended by their text, at once and after a restart; withdrawn ones come back."""
        items = [item.model_dump(exclude_none=True) for item in body.items]
        try:
            return JSON(await change(fleet.add, items))
        except UserError as error:
            raise Problem(422, "refused", str(error), "body.items") from None

    @app.get("/items/{item_id}", responses=_told(schema.WholeItemAnswer, 404, 422))
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

    @app.delete("/items/{item_id}", responses=_told(schema.WithdrawnAnswer, 404, 422, 503))
    async def withdraw(item_id: schema.PathId) -> Response:
        """Keep an item out of every list, from now on; `POST /items` lets it back in."""
        fleet.view.item(item_id)
        await change(fleet.withdraw, item_id)
        return JSON({"item_id": item_id, "withdrawn": True})

    @app.get("/items/{item_id}/similar", responses=_told(schema.SimilarAnswer, 404, 422, *_QUEUED))
    async def similar(
        item_id: schema.PathId,
        k: Annotated[int, Query(ge=1, le=schema.K)] = 10,
        model: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Response:
        """Items most like one, by the cosine of their vectors where the model has vectors."""
        name = fleet.view.model(model, "query.model").name

        def find() -> dict[str, Any]:
            view = fleet.view
            served = view.models[name]
            mask = view.open[name]
            if item_id not in served.place:
                raise Problem(404, "unknown_item", f"model '{name}' does not know the item '{item_id}'", "path.item_id")
            if not served.compares:
                said = f"a model of kind {served.kind} does not compare items; ask another model"
                raise Problem(422, "no_likeness", said, "query.model")
            out = 0 if mask is None else len(mask) - int(mask.sum())
            found = [
                (column, score)
                for column, score in served.similar(served.place[item_id], k + out)
                if mask is None or mask[column]
            ]
            items = [
                {"item_id": served.ids[column], "text": served.texts[column], "score": score, "rank": rank}
                for rank, (column, score) in enumerate(found[:k], start=1)
            ]
            return {"model": name, "items": items}

        return JSON(await worker.submit(find))

    @app.get("/items/{item_id}/audience", responses=_told(schema.AudienceAnswer, 404, 422, *_QUEUED))
    async def suits(
        item_id: schema.PathId,
        k: Annotated[int, Query(ge=1, le=100)] = 10,
        model: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Response:
        """Users in whose lists the item stands highest, among the 1,000 who were active last."""
        served = fleet.view.model(model, "query.model")
        name = served.name
        if item_id not in served.place:
            raise Problem(404, "unknown_item", f"model '{name}' does not know the item '{item_id}'", "path.item_id")
        users = await keeper.submit(lambda: store.recent_users(USERS))
        found: list[dict[str, Any]] = []
        for start in range(0, len(users), TOGETHER):
            some = users[start : start + TOGETHER]

            def look(some: list[str] = some) -> list[dict[str, Any]]:
                view = fleet.view
                now = view.models[name]
                return audience(now, view, now.place[item_id], store.histories(some))

            found += await worker.submit(look)
        found.sort(key=lambda member: (member["rank"], -member["score"]))
        return JSON({"model": name, "users": found[:k], "considered": len(users)})

    @app.get("/attributes", responses=_told(schema.AttributesAnswer, 422))
    async def attributes(model: Annotated[str | None, Query(max_length=64)] = None) -> Response:
        """What a model's items can be filtered by."""
        served = fleet.view.model(model, "query.model")

        def find() -> list[dict[str, Any]]:
            counts = {name: served.attribute(name).counts for name in served.columns}
            return [
                {"name": name, "values": [{"value": value, "count": count} for value, count in told]}
                for name, told in counts.items()
                if 0 < len(told) <= schema.VALUES
            ]

        return JSON({"attributes": await asyncio.to_thread(find)})

    # -- the page, and what goes wrong ------------------------------------------------------------------------

    for path, file in pages.items():
        app.get(path, include_in_schema=False)(_sender(file))

    if "/" not in pages:

        @app.get("/", include_in_schema=False)
        async def front() -> Response:
            return PlainTextResponse("slmrec is serving; /openapi.json tells what it answers.\n")

    @app.exception_handler(Problem)
    async def refused(request: Request, problem: Problem) -> Response:
        return problem.response()

    @app.exception_handler(StoreError)
    async def unkept(request: Request, error: StoreError) -> Response:
        log("error", "store", error=type(error.__cause__ or error).__name__)
        return unreachable(error).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return malformed(error.errors()).response()

    @app.exception_handler(HTTPException)
    async def lost(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # the body could not even be read as JSON
            return Problem(422, "malformed", "the body is no JSON", "body").response()
        codes = {404: ("not_found", "there is nothing at this path"), 405: ("method", "the path has no such method")}
        code, said = codes.get(error.status_code, ("refused", str(error.detail)))
        headers = dict(error.headers or {})
        return Problem(error.status_code, code, f"{said}; /openapi.json tells what there is").response(headers)

    app.add_middleware(
        Guard,
        limits=limits,
        api_key=api_key,
        admission=admission,
        metrics=metrics,
        public=frozenset({"/", "/health", "/ready", "/openapi.json", *pages}),
        direct={("POST", "/recommend"): _direct(schema.RecommendBody, recommend_one)},
    )
    return app


_BODY = (408, 413, 415, 422)
"""What may be wrong with a body."""
_QUEUED = (429, 503)
"""What a request may get that has to wait."""
_SAID = {
    401: "the API key is missing or another",
    403: "no API key is set",
    404: "there is no such thing",
    408: "the body came too slowly",
    413: "the body is too large",
    415: "the body is not application/json",
    422: "what was sent cannot be used",
    429: "too many wait already; `Retry-After` tells when to ask again",
    503: "no answer in time, the store failed, or the server is stopping",
}


def _told(answer: Any = None, *statuses: int, key: bool = True) -> dict[int | str, dict[str, Any]]:
    """The statuses of a route, for the OpenAPI document."""
    told: dict[int | str, dict[str, Any]] = {} if answer is None else {200: {"model": answer}}
    for status in sorted({*statuses, 503, *((401,) if key else ())}):
        told[status] = {"model": schema.ErrorAnswer, "description": _SAID[status]}
    return told


def _direct(
    schema: type[Sent], answer: Callable[[Sent], Awaitable[Response]]
) -> Callable[[bytes], Awaitable[Response]]:
    """A route's function, called with the body as it came."""

    async def call(body: bytes) -> Response:
        try:
            sent = schema.model_validate_json(body)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            raise malformed({**one, "loc": ("body", *one["loc"])} for one in found) from None
        return await answer(sent)

    return call


def _pages(folder: Path) -> dict[str, Path]:
    """The page's files by path: at the root, as it names them relative to itself, and under /page/."""
    found: dict[str, Path] = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            name = file.relative_to(folder).as_posix()
            found |= {f"/{name}": file, f"/page/{name}": file}
    if "/index.html" in found:
        found["/"] = found["/index.html"]
    return found


def _sender(file: Path) -> Callable[[], Any]:
    """A route that sends one file."""

    async def send() -> Response:
        return FileResponse(file, headers={"cache-control": "no-cache"})

    return send


def _attempt(job: Call) -> Any:
    try:
        return job()
    except Exception as error:
        return error


def _keep(store: Store, jobs: Sequence[tuple[str, list[Event]] | Call]) -> list[Any]:
    """Do the store's jobs in their order; events that arrived together share one write to the disk."""
    done: list[Any] = []
    posts: list[tuple[str, list[Event]]] = []

    def flush() -> None:
        if posts:
            try:
                done.extend(store.append(posts))
            except Exception as error:
                done.extend([error] * len(posts))
            posts.clear()

    for job in jobs:
        if isinstance(job, tuple):
            posts.append(job)
        else:
            flush()
            done.append(_attempt(job))
    flush()
    return done
