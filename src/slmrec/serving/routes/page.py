"""The page's files, where there are any."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, PlainTextResponse


def pages() -> dict[str, Path]:
    """The page's files by path: at the root, as it names them relative to itself, and under /page/."""
    folder = Path(str(files("slmrec"))) / "page"
    found: dict[str, Path] = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            name = file.relative_to(folder).as_posix()
            found |= {f"/{name}": file, f"/page/{name}": file}
    if "/index.html" in found:
        found["/"] = found["/index.html"]
    return found


def routes(paths: Mapping[str, Path]) -> APIRouter:
    """A route to each file, and at the root to what the server is where there is no page."""
    router = APIRouter()
    for path, file in paths.items():
        router.get(path, include_in_schema=False)(_sender(file))

    if "/" not in paths:

        @router.get("/", include_in_schema=False)
        async def front() -> Response:
            return PlainTextResponse("slmrec is serving; /openapi.json tells what it answers.\n")

    return router


def _sender(file: Path) -> Callable[[], Any]:
    """A route that sends one file."""

    async def send() -> Response:
        return FileResponse(file, headers={"cache-control": "no-cache"})

    return send
