"""A real browser, a tiny server that speaks the page's API, and a web folder made from a tiny model."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import slmrec

from .fake_server import FakeServer

PAGE = Path(slmrec.__file__).parent / "page"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@contextmanager
def serving(handler: Any) -> Iterator[str]:
    """Answer on a free port of the loopback; gives the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    """`python -m http.server` without its log."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving_folder(folder: Path) -> Iterator[str]:
    """Static files."""
    with serving(partial(Quiet, directory=str(folder))) as address:
        yield address


@contextmanager
def serving_api(fake: FakeServer) -> Iterator[str]:
    """The page and the fake API under one address."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
            file = PAGE / (parts.path.lstrip("/") or "index.html")
            if self.command == "GET" and file.is_file():
                self.send(200, file.read_bytes(), TYPES[file.suffix])
                return
            fake.asked.append((self.command, parts.path, body))
            if fake.key and self.headers.get("X-API-Key") != fake.key:
                status, value = (
                    401,
                    {"error": {"code": "key", "message": "the key is missing or wrong", "where": "X-API-Key"}},
                )
            else:
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                status, value = fake.answer(self.command, parts.path, query, body)
            self.send(status, json.dumps(value).encode(), "application/json")

        do_GET = do_POST = do_DELETE = handle_any

        def send(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with serving(Handler) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The system's Chromium. Once a module, as playwright holds the thread's event loop until it is stopped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("there is no Chromium on this machine")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def fake() -> FakeServer:
    """A fresh fake server's state."""
    return FakeServer()


@pytest.fixture
def api(fake) -> Iterator[str]:
    """The address of the page over the fake server."""
    with serving_api(fake) as address:
        yield address


@pytest.fixture
def open_page(chromium, api) -> Iterator[Any]:
    """Open an address; anything the page logs as an error, or throws, fails the test unless it is expected.

    It stands on `api` so that pages are closed before the server is.
    """
    opened = []

    def open_it(address: str, expected: tuple[str, ...] = (), **context: Any) -> Any:
        page = chromium.new_context(**context).new_page()
        page.set_default_timeout(20_000)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        opened.append((page, errors, expected))
        page.goto(address)
        return page

    yield open_it
    for page, errors, expected in opened:
        page.context.close()
        assert [error for error in errors if not any(words in error for words in expected)] == []
