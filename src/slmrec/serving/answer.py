"""Answers as JSON, written by orjson: a third of what the standard library takes for a list of recommendations."""

from typing import Any

import orjson
from fastapi.responses import JSONResponse


class JSON(JSONResponse):
    """A JSON answer."""

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)
