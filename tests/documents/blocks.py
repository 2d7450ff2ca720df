"""The code blocks of a Markdown page, and the commands of a shell block."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt


@dataclass(frozen=True)
class Block:
    """What stands between two fences."""

    page: Path
    line: int
    """Of the opening fence, from 1."""
    language: str
    """Empty where the fence names none."""
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in its order."""
    return [
        Block(page, token.map[0] + 1, token.info.split()[0] if token.info.strip() else "", token.content)
        for token in MarkdownIt().parse(page.read_text(encoding="utf-8"))
        if token.type == "fence" and token.map
    ]


def commands(block: Block) -> list[str]:
    """The lines of a shell block: those that end in a backslash joined, comments and empty ones left out."""
    lines = re.sub(r"\\\n\s*", "", block.code).splitlines()
    return [line for line in lines if words(line)]


def words(command: str) -> list[str]:
    """A command's words, without a comment after them."""
    return shlex.split(command, comments=True)
