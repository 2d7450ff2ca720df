"""What the readers' tests share: files, plain or packed, and the real samples beside the repository."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

SAMPLES = Path(__file__).parents[3].parent / "shared" / "data"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file under the test's folder, packed as its suffix says, and return its path."""

    def write_file(name: str, content: str | bytes) -> Path:
        data = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".gz"):
            data = gzip.compress(data)
        elif name.endswith(".zst"):
            data = pa.compress(data, codec="zstd", asbytes=True)
        path.write_bytes(data)
        return path

    return write_file


@pytest.fixture
def sample() -> Callable[[str], Path]:
    """Return the folder of a real sample; the test is skipped where it is absent."""

    def find(name: str) -> Path:
        folder = SAMPLES / name
        if not folder.is_dir():
            pytest.skip(f"no real sample at {folder}")
        return folder

    return find
