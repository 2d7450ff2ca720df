"""What a request may cost, checked before anything is made of it.

`Guard` stands before the routes: the key, the content type, the body's size and how long it takes to arrive, whether
there is room in the queue at all, how long the answer takes. It also counts and logs every request. `Admission` alone
knows when the queue is full, and has an answer ready that costs next to nothing: under overload most answers are that
one, and what they take is taken from those who got in.
"""

import asyncio
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slmrec.serving.logs import log
from slmrec.serving.metrics import Metrics
from slmrec.serving.problems import Problem, busy, out_of_time

QUEUED = ("/recommend", "/recommend/batch", "/explain")
"""Paths whose requests wait for the one worker."""
PATIENT = (("PUT", "/models"), ("POST", "/items"))
"""What may take longer than an answer, as models are loaded and texts are encoded."""
LINGER = 2.0
"""Seconds for which the rest of a refused body is thrown away, so that its sender gets to read the answer."""


@dataclass(frozen=True)
class Limits:
    """What a request may cost."""

    body: int = 2**20
    """Bytes of a body."""
    body_seconds: float = 10.0
    """Seconds until all of a body has to be there, and until all of a request's head has."""
    seconds: float = 10.0
    """Seconds until an answer has to be there."""
    queue: int = 32
    """Requests that are there at once for the worker, waiting or computed; it bounds how long one takes."""
    batch: int = 32
    """Requests that are computed together."""
    wait_ms: float = 1.0
    """Milliseconds that a request waits for others to be computed with."""
    connections: int = 1024
    """Connections at once."""


class Admission:
    """Whether there is room for requests that wait for the one worker.

    Args:
        full: whether its queue is.
        metrics: where those that are turned away are counted.
    """

    def __init__(self, full: Callable[[], bool], metrics: Metrics) -> None:
        self.full, self.metrics = full, metrics
        answer = busy().response()
        head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
        self._answer = b"HTTP/1.1 429 Too Many Requests\r\n" + head + b"\r\n" + answer.body

    def turns_away(self, method: str, path: str) -> bool:
        """Whether a request would wait for the worker and cannot."""
        return method == "POST" and path in QUEUED and self.full()

    def refusal(self, method: str, path: str) -> bytes | None:
        """The whole answer to a request that is turned away, counted and logged; None: it may come in."""
        if not self.turns_away(method, path):
            return None
        self.metrics.request(path, method, 429, 0.0)
        log("info", "request", method=method, route=path, status=429, ms=0.0)
        return self._answer


class Guard:
    """ASGI middleware, see the module.

    Args:
        app: what is guarded.
        limits: what a request may cost.
        api_key: what `X-API-Key` has to say; None: anything.
        admission: knows whether the queue is full.
        metrics: where requests are counted.
        public: paths that need no key.
        direct: what answers a method and path from the body's bytes, without the framework's way there, which takes
            longer than all else that is done for a request outside the model. A `Problem` that it raises is told.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        api_key: str | None,
        admission: Admission,
        metrics: Metrics,
        public: frozenset[str],
        direct: Mapping[tuple[str, str], Callable[[bytes], Awaitable[ASGIApp]]],
    ) -> None:
        self.app, self.limits, self.admission, self.metrics, self.public = app, limits, admission, metrics, public
        self.direct = direct
        self.api_key = None if api_key is None else api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        # Ids in paths may hold slashes, so routes see the path as it was sent and undo its escapes themselves.
        path = scope["path"] = scope["raw_path"].decode("ascii", "replace") if scope.get("raw_path") else scope["path"]
        try:
            body = await self._admit(scope, path, receive)
            direct = self.direct.get((scope["method"], path))
            patient = (scope["method"], "/" + path.split("/")[1]) in PATIENT
            async with asyncio.timeout(None if patient else self.limits.seconds):
                if body is None:
                    await self.app(scope, receive, sending)
                elif direct is None:
                    await self.app(scope, _replaying(body, receive), sending)
                else:
                    answer = await direct(body)
                    await answer(scope, receive, sending)
        except Problem as problem:
            await problem.response()(scope, receive, _lingering(sending, receive) if problem.close else sending)
        except TimeoutError:
            if not status:
                await out_of_time(self.limits.seconds).response()(scope, receive, sending)
        except _Gone:
            status = 499  # nobody is there to be answered
        except Exception as error:  # a fault of ours; what was sent stands in no log
            places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            log("error", "fault", error=type(error).__name__, at=places[-8:])
            if not status:
                fault = Problem(500, "fault", "the server failed; its log says where")
                await fault.response()(scope, receive, sending)
        took = time.perf_counter() - started
        route = self._route(scope, path)
        self.metrics.request(route, scope["method"], status, took)
        log("info", "request", method=scope["method"], route=route, status=status, ms=round(1e3 * took, 2))

    async def _admit(self, scope: Scope, path: str, receive: Receive) -> bytes | None:
        """The whole body of a request that may have one.

        Raises:
            Problem: the request is refused.
        """
        headers = dict(scope["headers"])
        if self.api_key is not None and path not in self.public:
            given = headers.get(b"x-api-key", b"")
            if not secrets.compare_digest(given, self.api_key):
                said = "is not the one set here" if given else "is missing"
                raise Problem(401, "unauthorized", f"the API key {said}; send it as X-API-Key", "header.X-API-Key")
        if scope["method"] not in ("POST", "PUT"):
            return None
        if self.admission.turns_away(scope["method"], path):
            raise busy()
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind != b"application/json":
            named = kind.decode("latin-1") or "none"
            raise Problem(
                415,
                "content_type",
                f"the content type is {named[:100]}; send application/json",
                "header.Content-Type",
                close=True,
            )
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length[:20]) > self.limits.body:
            raise self._too_large()
        chunks, size = [], 0
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    size += len(message.get("body", b""))
                    if size > self.limits.body:
                        raise self._too_large()
                    chunks.append(message.get("body", b""))
                    if not message.get("more_body"):
                        return b"".join(chunks)
        except TimeoutError:
            said = f"the body was not there within {self.limits.body_seconds:g} s"
            raise Problem(408, "slow", f"{said}; send it at once", "body", close=True) from None

    def _route(self, scope: Scope, path: str) -> str:
        """What a request is counted under: never a path that may name a user."""
        route = scope.get("route")
        if route is not None:
            return route.path
        return path if path in self.public or path in QUEUED else "other"

    def _too_large(self) -> Problem:
        most = self.limits.body
        return Problem(413, "too_large", f"a body has at most {most:,} bytes; send less at a time", "body", close=True)


class _Gone(Exception):
    """Whoever asked has hung up."""


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read, then what comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _lingering(send: Send, receive: Receive) -> Send:
    """Hold the connection open behind the answer while the rest of the body arrives, for a moment.

    A socket that is closed with unread bytes in it resets the connection, and the answer may be lost with it.
    """

    async def linger(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        await send({**message, "more_body": True})
        try:
            async with asyncio.timeout(LINGER):
                while (rest := await receive())["type"] == "http.request" and rest.get("more_body"):
                    pass
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b""})

    return linger
