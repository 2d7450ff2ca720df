"""The site builds without a broken link, has a page for each document and command, and loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr  # strict: a broken link or a page out of the menu
    return folder


def test_every_document_is_a_page(site):
    documents = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert {*documents, Path("commands.html"), Path("changelog.html")} <= {
        path.relative_to(site) for path in site.rglob("*.html")
    }
    assert (site / "notebooks" / "from_parquet_to_recommendations.ipynb").exists()


def test_the_commands_page_has_their_options(site):
    page = (site / "commands.html").read_text()
    for found in ("slmrec train sasrec", "--hidden-size", "--teacher.training.learning-rate", "slmrec items add"):
        assert found in page


def test_the_reference_comes_from_the_docstrings(site):
    page = (site / "api" / "models.html").read_text()
    assert "The k best next items for each history or known user." in page
    assert "leave out the items of the history." in page


def test_nothing_is_loaded_from_elsewhere(site):
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=\"?(https?://[^\"\s>]+)", page.read_text())
        assert not loaded, page
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import)\s*[\"']?https?:", sheet.read_text()), sheet
