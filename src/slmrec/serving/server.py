"""The application behind a socket: uvicorn, one process."""

import asyncio
import gc
import ipaddress
import logging
import signal
import socket
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from slmrec.errors import UserError
from slmrec.serving.limits import Admission, Limits
from slmrec.serving.logs import JSONLines, log

IDLE = 65
"""Seconds for which a connection without requests stays open."""
GRACE = 10
"""Seconds that requests get to end once the server is told to stop."""
SWITCH = 0.0005
"""Seconds after which a thread that waits for Python's lock gets it."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, before anything expensive is loaded.

    Raises:
        UserError: the address is not to be had.
    """
    refusal = f"port {port} of {host} cannot be listened at (%s); choose another --port"
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UserError(refusal % error.strerror) from None
    listening = socket.socket(family, kind)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise UserError(refusal % error.strerror) from None
    return listening


def settle() -> None:
    """Make the process fit for a busy loop beside a busy worker.

    Collections pass over what is loaded by now: to walk it stopped all requests for half a second each time. And
    threads take turns ten times as often as they usually do: the worker lets go of Python's lock at every product of
    matrices, and waits that long for it again while requests keep the loop busy.

    To be called before anybody is told that the server is there, as it takes a while itself.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH)


def serve(app: FastAPI, listening: socket.socket, limits: Limits) -> None:
    """Answer until SIGTERM or SIGINT; requests that are under way are answered first."""
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [JSONLines()] if name == "uvicorn" else [], name != "uvicorn"
        logger.setLevel(logging.WARNING)

    config = uvicorn.Config(
        app,
        http=protocol(app, limits),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=GRACE,
    )
    stopped = signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it once more when it has stopped
    try:
        uvicorn.Server(config).run([listening])
    finally:
        signal.signal(signal.SIGTERM, stopped)
        log("info", "stopped")


def protocol(app: FastAPI, limits: Limits) -> type["Hurried"]:
    """What uvicorn makes of each connection."""

    class Protocol(Hurried):
        seconds = limits.body_seconds
        admission = app.state.admission

    return Protocol


class Hurried(HttpToolsProtocol):
    """Three things that uvicorn does not do.

    A connection on which a request's head does not come in time is closed, where uvicorn waits for ever. Whoever closes
    their side once all is sent still gets the answer, where uvicorn takes it for the end of the connection. And a
    request that there is no room for is answered as soon as its head is read, before a task is made of it.
    """

    seconds: float
    admission: Admission
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._deadline is None:
            self._start()

    def on_headers_complete(self) -> None:
        self._stop()
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        method, path = cycle.scope["method"], cycle.scope["path"]
        # The others' answer has to close the connection, for which the usual way knows how.
        refusal = self.admission.refusal(method, path) if cycle.keep_alive and app is self.app else None
        if refusal is None:
            super()._start_asgi_task(cycle, app)
            return
        cycle.response_started = cycle.response_complete = True  # its body, as it comes, is thrown away
        self.transport.write(refusal)
        self.on_response_complete()
        if cycle.more_body:
            self._start()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._stop()  # that of a body that was thrown away

    def eof_received(self) -> bool | None:  # type: ignore[override]
        last = self.cycle  # the newest, also where others are answered before it
        if last is None or last.more_body or (last.response_complete and not self.pipeline):
            return None  # nothing to be answered, or never whole: closes
        last.keep_alive = False
        return True

    def _start(self) -> None:
        self._deadline = self.loop.call_later(self.seconds, self.transport.close)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
