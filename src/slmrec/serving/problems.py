"""What a request can be answered with when it cannot be answered: one shape for all of it.

{"error": {"code": "unknown_items", "message": "…", "where": "body.history"}}
"""

from collections.abc import Iterable, Sequence
from typing import Any

from slmrec.serving.answer import JSON


class Problem(Exception):
    """A request that is refused.

    Args:
        status: HTTP status.
        code: what programs tell it by.
        message: one sentence for people: what was asked, what was found, what to do.
        where: the part of the request that it is about, as `body.history`.
        retry_after: seconds after which to ask again.
        close: whether the connection is of no more use.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        where: str = "",
        *,
        retry_after: int | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.where = status, code, message, where
        self.retry_after, self.close = retry_after, close

    def response(self, headers: dict[str, str] | None = None) -> JSON:
        """The answer that says so."""
        headers = dict(headers or {})
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.close:
            headers["connection"] = "close"
        error = {"code": self.code, "message": self.message, "where": self.where}
        return JSON({"error": error}, status_code=self.status, headers=headers)


def busy(what: str = "too many requests wait already") -> Problem:
    """The answer while the queue is full."""
    return Problem(429, "busy", f"{what}; ask again in a moment", retry_after=1)


def out_of_time(seconds: float) -> Problem:
    """The answer to a request that took too long."""
    return Problem(503, "timeout", f"no answer within {seconds:g} s; ask again, or for less", retry_after=1)


def stopping() -> Problem:
    """The answer while the server shuts down."""
    return Problem(503, "stopping", "the server is stopping; ask again in a moment", retry_after=2)


def unreachable(error: Exception) -> Problem:
    """The answer while the store fails; what it says may hold what was sent, so only the log's kind of it is told."""
    return Problem(503, "store", f"the event store failed ({type(error).__name__}); nothing was kept", retry_after=1)


def malformed(errors: Iterable[dict[str, Any]], body: Any) -> Problem:
    """The answer to a request that does not fit its schema; what was sent is not repeated.

    Args:
        errors: what pydantic says, at least one; each place begins with "body", "query" or "path".
        body: what was sent as the body, as JSON reads it.
    """
    errors = list(errors)
    first = errors[0]
    if first["type"] == "json_invalid":
        return Problem(422, "malformed", "the body is no JSON", "body")
    where = ".".join(_written(first["loc"], body, missing=first["type"] == "missing"))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    unknown = first["type"] == "extra_forbidden"
    said = "there is no such key; /openapi.json tells what there is" if unknown else first["msg"]
    return Problem(422, "malformed", f"{where}: {said}{more}", where)


def _written(place: Sequence[Any], body: Any, missing: bool) -> list[str]:
    """What the sender wrote of a place, or left out at its end: pydantic names the branches of unions in between."""
    if place[0] != "body":
        return [str(part) for part in place]
    said, here = ["body"], body
    for number, part in enumerate(place[1:], 2):
        written = part in here if isinstance(here, dict) else isinstance(here, list) and isinstance(part, int)
        if written:
            here = here[part]
        if written or (missing and number == len(place)):
            said.append(str(part))
    return said
