"""A random SASRec, and the bundle it was exported to."""

import shutil
from pathlib import Path

import polars as pl
import pytest
import torch

from slmrec.data import Catalogue
from slmrec.export import export_bundle
from slmrec.models import SASRec, SASRecConfig
from slmrec.runtime import Bundle


@pytest.fixture(scope="session")
def model(cycle) -> SASRec:
    """Any fixed scores do here. Items have a text, but one, and two attributes that JSON has no word for."""
    torch.manual_seed(0)
    found = SASRec(SASRecConfig(num_items=20, max_length=8, hidden_size=16, initializer_range=0.5))
    texts = [None, *(f"Item {i}" for i in range(1, 20))]
    found.catalogue = Catalogue(
        cycle.catalogue.frame.with_columns(
            pl.Series("text", texts, dtype=pl.String),
            pl.Series("price", [float("nan"), *map(float, range(19))]),
            pl.Series("released", ["1999-12-31"] * 20).str.to_date(),
        )
    )
    return found.eval()


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory) -> Path:
    """Its bundle; not to be written to."""
    folder = tmp_path_factory.mktemp("bundles") / "sasrec"
    export_bundle(model, folder)
    return folder


@pytest.fixture(scope="session")
def bundle(exported) -> Bundle:
    """The bundle, loaded; not to be changed."""
    return Bundle.load(exported, threads=1)


@pytest.fixture
def folder(exported, tmp_path) -> Path:
    """A copy of the bundle to damage."""
    return Path(shutil.copytree(exported, tmp_path / "copy"))
