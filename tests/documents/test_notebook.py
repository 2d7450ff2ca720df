"""The notebook runs from its first cell to its last, with small numbers in the cell that is meant for them."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from ..conftest import DECODERS, save_decoder

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "from_parquet_to_recommendations.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.mark.filterwarnings("default")  # of Jupyter's own libraries
def test_it_runs(notebook, tmp_path):
    save_decoder(DECODERS["llama"], tmp_path / "decoder")
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    parameters.source += f'\nusers, epochs, backbone, folder = 80, 2, "{tmp_path / "decoder"}", Path("{tmp_path}")'
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    last = notebook.cells[-1].outputs[-1].data["text/plain"]
    assert "target_item_id" in last
    assert all((tmp_path / name / "config.json").exists() for name in ("sasrec", "teacher", "student", "taught"))


def test_it_is_kept_without_outputs(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
