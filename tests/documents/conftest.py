"""The stage is made once a session."""

from pathlib import Path

import pytest

from . import stage


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """A folder with all that the documents name."""
    folder = tmp_path_factory.mktemp("stage")
    stage.prepare(folder)
    return folder
