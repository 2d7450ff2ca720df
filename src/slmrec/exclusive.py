"""One process at a time at what is being made."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from slmrec.errors import UserError


@contextlib.contextmanager
def exclusive(path: Path, wait: Callable[[str], object] | None = None) -> Iterator[None]:
    """Have ``path`` to this process until the block ends, or the process does, however it ends.

    Args:
        path: the file or folder that is made in the block; it need not be there.
        wait: is told that another process has it, which is then waited for; None: refuse.

    Raises:
        UserError: another process has it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.with_name(f".{path.name}.lock")
    lock = FileLock(name)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if wait is None:
            raise UserError(f"another process is at work on {path}; wait until it ends, or stop it") from None
        wait(f"another process is at work on {path}; waiting until it ends")
        lock.acquire()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # where an open file cannot be removed, it stays and holds nothing
            name.unlink()
        lock.release()
