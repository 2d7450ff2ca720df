"""What is raised on the way to a route or in it, as the answer that tells it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from slmrec.serving.logs import log
from slmrec.serving.problems import Problem, malformed, unreachable
from slmrec.serving.store import StoreError


async def _refused(request: Request, problem: Problem) -> Response:
    return problem.response()


async def _unkept(request: Request, error: StoreError) -> Response:
    log("error", "store", error=type(error.__cause__ or error).__name__)
    return unreachable(error).response()


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    return malformed(error.errors(), error.body).response()


async def _lost(request: Request, error: HTTPException) -> Response:
    if error.status_code == 400:  # the body could not even be read as JSON
        return Problem(422, "malformed", "the body is no JSON", "body").response()
    codes = {404: ("not_found", "there is nothing at this path"), 405: ("method", "the path has no such method")}
    code, said = codes.get(error.status_code, ("refused", str(error.detail)))
    headers = dict(error.headers or {})
    return Problem(error.status_code, code, f"{said}; /openapi.json tells what there is").response(headers)


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    Problem: _refused,
    StoreError: _unkept,
    RequestValidationError: _invalid,
    HTTPException: _lost,
}
"""By what is raised; all else is a fault of ours, which the guard tells."""
