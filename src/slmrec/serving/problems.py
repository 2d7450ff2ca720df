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


def malformed(errors: Iterable[dict[str, Any]]) -> Problem:
    """The answer to a request that does not fit its schema; what was sent is not repeated."""
    errors = list(errors)
    first = errors[0]
    unknown = first["type"] == "extra_forbidden"
    where = ".".join(_written(first["loc"], unknown))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    if first["type"] == "json_invalid":
        return Problem(422, "malformed", "the body is no JSON", "body")
    said = "there is no such key; /openapi.json tells what there is" if unknown else first["msg"]
    return Problem(422, "malformed", f"{where}: {said}{more}", where)


def _written(place: Sequence[Any], unknown: bool) -> list[str]:
    """What the sender wrote of a place: not the names of a union's branches, which a key may look like.

    Args:
        place: keys and numbers, from the outside in.
        unknown: whether its last is a key that was made up.
    """
    said = {len(place) - 1} if unknown else set()
    said |= {after for after, part in enumerate(place, 1) if part == "filters"}  # a name of the items' own
    return [str(part) for number, part in enumerate(place) if number in said or not _is_branch(part)]


def _is_branch(part: Any) -> bool:
    """Whether this part of a place looks like the name of a union's branch."""
    return isinstance(part, str) and (part in ("int", "str", "float", "bool") or "[" in part or "-" in part)
