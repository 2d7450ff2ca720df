"""Tiny models behind the application: 20 items, random weights."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from fastapi.testclient import TestClient

from slmrec.data import Catalogue
from slmrec.models import Popularity, Recommender, SASRec, SASRecConfig
from slmrec.serving import Fleet, Limits, Served, Store, create_app, load_served, open_store
from slmrec.serving.served import ServedModel

from ..conftest import build


def catalogue(cycle) -> Catalogue:
    """The ring's 20 items with two attributes."""
    numbers = [int(item) for item in cycle.catalogue.frame["item_id"]]  # not in order
    years = pl.Series("year", [1990 + i % 3 for i in numbers])
    genres = pl.Series("genre", [("Comedy", "Crime, Drama", "Drama", None)[i % 4] for i in numbers])
    return Catalogue(cycle.catalogue.frame.with_columns(years, genres))


def tiny_sasrec(cycle, seed: int = 0, **options: Any) -> SASRec:
    """Any fixed scores do."""
    torch.manual_seed(seed)
    config = SASRecConfig(num_items=20, max_length=8, hidden_size=16, initializer_range=0.5, **options)
    model = SASRec(config)
    model.catalogue = catalogue(cycle)
    return model.eval()


@dataclass
class House:
    """Models, and the application over them."""

    llm: Recommender
    sasrec: SASRec
    popularity: Recommender
    folder: Path
    """Where the store is."""
    open: "Callable[..., contextlib.AbstractContextManager[TestClient]]"
    """The application as a client; `limits`, `api_key`, `store` as `create_app` takes them."""


@pytest.fixture
def house(cycle, llama, tmp_path) -> House:
    """An LLM (the default), a SASRec and popularity."""
    llm, sasrec, popularity = build(cycle, llama), tiny_sasrec(cycle), Popularity.from_data(cycle)
    llm.catalogue = popularity.catalogue = catalogue(cycle)

    def models() -> list[Served]:
        named = {"llm": llm, "sasrec": sasrec, "popularity": popularity}
        return [ServedModel(name, model, "fp32", 2**20) for name, model in named.items()]

    @contextlib.contextmanager
    def opened(
        limits: Limits | None = None,
        api_key: str | None = None,
        store: Store | None = None,
        served: list[Served] | None = None,
    ) -> Iterator[TestClient]:
        store = store or open_store(str(tmp_path / "events.sqlite"))
        app = create_app(Fleet(served or models(), store, load_served), store, limits=limits, api_key=api_key)
        with TestClient(app, raise_server_exceptions=False) as client:
            yield client

    return House(llm, sasrec, popularity, tmp_path, opened)


@pytest.fixture
def client(house) -> Iterator[TestClient]:
    """All of it with nothing else said."""
    with house.open() as client:
        yield client


def error(response) -> str:
    """The code of a refusal, whose shape is checked."""
    told = response.json()["error"]
    assert set(told) == {"code", "message", "where"}
    assert told["message"]
    return told["code"]
