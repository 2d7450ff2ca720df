"""Logs as JSON lines on stderr. Neither histories nor the ids of users or items stand in them."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson


def log(level: str, event: str, **facts: Any) -> None:
    """Write one line."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = orjson.dumps({"time": time, "level": level, "event": event, **facts}, option=orjson.OPT_APPEND_NEWLINE)
    sys.stderr.write(line.decode())


class JSONLines(logging.Handler):
    """Other libraries' logs in the same shape."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        log(record.levelname.lower(), record.name, message=record.getMessage())
