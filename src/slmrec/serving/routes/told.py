"""What the OpenAPI document tells of a route's answers."""

from typing import Any

from slmrec.serving.schema import ErrorAnswer

BODY = (408, 413, 415, 422)
"""What may be wrong with a body."""
QUEUED = (429, 503)
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


def told(answer: Any = None, *statuses: int, key: bool = True) -> dict[int | str, dict[str, Any]]:
    """The statuses of a route.

    Args:
        answer: the schema of what is answered where all is well; None: it is no JSON.
        statuses: what else may be answered, beside 503, which always may.
        key: whether 401 may be, as the route needs the API key where one is set.
    """
    found: dict[int | str, dict[str, Any]] = {} if answer is None else {200: {"model": answer}}
    for status in sorted({*statuses, 503, *((401,) if key else ())}):
        found[status] = {"model": ErrorAnswer, "description": _SAID[status]}
    return found
