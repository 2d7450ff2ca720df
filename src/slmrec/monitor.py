"""Who is told how long work gets on."""

from typing import Protocol


class Monitor(Protocol):
    """Who is told how the work gets on."""

    def stage(self, number: int, total: int, title: str) -> None:
        """A stage begins."""

    def progress(self, done: int, total: int, note: str) -> None:
        """How far the stage is."""

    def remaining(self, seconds: float | None) -> None:
        """How long the rest of it will take, as far as can be told."""

    def say(self, text: str) -> None:
        """A line that stays."""
