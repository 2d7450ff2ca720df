"""The page on its own, in a real browser: a tiny model's bundle through onnxruntime-web. Truth: the model itself."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from slmrec.data import Dataset
from slmrec.errors import UserError
from slmrec.export import export_bundle, export_web
from slmrec.export.onnxruntime_web import onnxruntime_web
from slmrec.models import Ensemble, ItemKNN, Recommender, SequentialRules
from slmrec.training.build import build_classic
from slmrec.training.options import SASRecOptions

from .conftest import serving_folder

ASK = """async ([method, values]) => {
  const { connect } = await import("./browser.js");
  window.backend ??= await connect(() => {});
  return await window.backend[method](...values);
}"""
GENRES = ["Drama", "Comedy, Drama", "Comedy", None]


@pytest.fixture(scope="module")
def data() -> Dataset:
    """24 items whose ids have leading zeros; one has no text."""
    rows = [(f"u{user}", f"{(user + step) % 24:03d}", step) for user in range(12) for step in range(10)]
    items = pl.DataFrame(
        {
            "item_id": [f"{i:03d}" for i in range(24)],
            "text": [
                None if i == 5 else f"Film, The number {i} (19{70 + i}) | {GENRES[i % 4] or 'none'}" for i in range(24)
            ],
            "genre": [GENRES[i % 4] for i in range(24)],
        }
    )
    return Dataset.from_frame(pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"), items=items)


def random(model: Recommender, data: Dataset) -> Recommender:
    """Weights large enough that every part is felt."""
    model.catalogue = data.catalogue
    with torch.no_grad():
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return model.eval()


@pytest.fixture(scope="module")
def model(data) -> Recommender:
    """A SASRec that reads seven items."""
    torch.manual_seed(0)
    return random(build_classic(data, SASRecOptions(hidden_size=16, num_blocks=2, max_length=7), None), data)


@pytest.fixture(scope="module")
def combined(data, model) -> Recommender:
    """The same with neighbours beside it; the rules forget, and read more than it does."""
    return Ensemble.of([SequentialRules.from_data(data, max_length=9), ItemKNN.from_data(data), model], [0.5, 0.3, 0.7])


@pytest.fixture(scope="module")
def folder(data, model, combined, tmp_path_factory) -> Path:
    """The page with that model in fp32, with it once more under another name, and with neighbours beside it."""
    made = tmp_path_factory.mktemp("web")
    try:
        onnxruntime_web()
    except UserError as error:
        pytest.skip(str(error))
    export_bundle(model, made / "student")
    shutil.copytree(made / "student", made / "twin")
    manifest = json.loads((made / "twin" / "manifest.json").read_text())
    (made / "twin" / "manifest.json").write_text(json.dumps(manifest | {"name": "its twin"}))
    export_bundle(combined, made / "together")
    export_web([made / "student", made / "twin", made / "together"], made / "page")
    return made / "page"


@pytest.fixture
def web(folder):
    """Its address."""
    with serving_folder(folder) as address:
        yield address


HISTORIES = [["003"], ["001", "014"], ["007", "007", "002"], [f"{i:03d}" for i in range(0, 24, 2)]]
"""One item; two; a repeat; more than are read."""


@pytest.mark.parametrize("name", ["student", "together"])
def test_the_browser_recommends_what_the_model_does(open_page, web, model, combined, name):
    page = open_page(web)
    for history in HISTORIES:
        expected = (combined if name == "together" else model).recommend([history], k=10)
        answer = page.evaluate(ASK, ["recommend", [{"model": name, "history": history, "k": 10}]])
        assert [item["item_id"] for item in answer["items"]] == expected["item_id"].to_list()
        assert [item["score"] for item in answer["items"]] == pytest.approx(expected["score"].to_list(), abs=1e-4)
        assert [item["rank"] for item in answer["items"]] == expected["rank"].to_list()


def test_denied_and_filtered_items_are_out(open_page, web, model, data):
    page = open_page(web)
    comedies = data.catalogue.frame.filter(pl.col("genre").str.contains("Comedy"))["item_id"].to_list()
    expected = model.recommend([HISTORIES[1]], k=30, allow=comedies, deny=["002", "006"])["item_id"].to_list()
    request = {
        "model": "student",
        "history": HISTORIES[1],
        "k": 30,
        "deny": ["002", "006"],
        "filters": {"genre": ["Comedy"]},
    }
    answer = page.evaluate(ASK, ["recommend", [request]])
    assert [item["item_id"] for item in answer["items"]] == expected
    offered = page.evaluate(ASK, ["attributes", ["student"]])
    assert offered == [{"name": "genre", "values": [{"value": "Comedy", "count": 12}, {"value": "Drama", "count": 12}]}]


@pytest.mark.parametrize("name", ["student", "together"])
def test_contributions_are_leave_one_out(open_page, web, model, combined, data, name):
    page = open_page(web)
    model = combined if name == "together" else model
    item = data.catalogue.index(["011"])[0]
    for history in HISTORIES:
        indices = data.catalogue.index(history)
        whole = model.score([indices])[0, item - 1].item()
        rests = [np.delete(indices, place) for place in range(len(indices))]
        expected = [whole - (model.score([rest])[0, item - 1].item() if len(rest) else 0.0) for rest in rests]
        answer = page.evaluate(ASK, ["explain", [{"model": name, "history": history, "item_id": "011"}]])
        assert answer["score"] == pytest.approx(whole, abs=1e-4)
        assert [one["contribution"] for one in answer["contributions"]] == pytest.approx(expected, abs=2e-4)
        assert [one["item_id"] for one in answer["contributions"]] == history
        request = {"model": name, "history": history, "k": 3, "explain": True}
        because = page.evaluate(ASK, ["recommend", [request]])["items"][0]["because"]
        assert all(one["contribution"] > 0 for one in because)
        assert because == sorted(because, key=lambda one: -one["contribution"])


def test_similar_items_are_the_models(open_page, web, model):
    page = open_page(web)
    expected = model.similar_items(["011"], k=5)
    found = page.evaluate(ASK, ["similar", ["011", 5, "student"]])
    assert [item["item_id"] for item in found] == expected["item_id"].to_list()
    assert [item["score"] for item in found] == pytest.approx(expected["score"].to_list(), abs=1e-5)


def test_what_is_not_there_is_said(open_page, web):
    page = open_page(web)
    request = {"model": "student", "history": ["nobody"], "k": 3}
    message = page.evaluate(
        f"async (asked) => {{ try {{ await ({ASK})(asked) }} catch (error) {{ return error.message }} }}",
        ["recommend", [request]],
    )
    assert message == "This model does not know the item 'nobody'."
    page.click("#tab-new")
    assert "It needs the server" in page.inner_text("#view-new")


def test_the_page_works_alone_and_tells_nobody(open_page, web, model):
    page = open_page(web)
    page.wait_for_selector(".example")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "icon.svg" not in request.url else None)
    page.fill("#search", "number 3")
    page.wait_for_selector("#found-0")
    page.keyboard.press("Enter")
    page.wait_for_selector(".row:not(.blank)")
    page.wait_for_function("() => [...document.querySelectorAll('.because')].every(line => line.textContent.trim())")
    shown = "rows => rows.map(row => row.dataset.id)"
    assert page.eval_on_selector_all(".row", shown) == model.recommend([["003"]], k=10)["item_id"].to_list()
    page.click(".row:nth-child(1) .add")
    page.wait_for_function("() => document.querySelectorAll('.event').length === 2")
    page.focus(".event:nth-child(2) [data-does=earlier]")
    page.keyboard.press("ArrowUp")
    page.wait_for_function("() => !document.querySelector('#list[aria-busy]')")
    second = model.recommend([["003"]], k=1)["item_id"][0]
    assert page.eval_on_selector_all(".row", shown) == model.recommend([[second, "003"]], k=10)["item_id"].to_list()
    page.click(".row:nth-child(1) .why")
    page.wait_for_selector(".bars")
    assert asked == []
    page.click("#tab-compare")
    page.wait_for_function("() => document.querySelectorAll('.brief li').length === 30")
    fetched = {url.removeprefix(web).split("/")[1] for url in asked}
    assert fetched == {"2-its-twin", "3-together"}  # when they are asked for, and nothing else


def changed(folder: Path, out: Path, change) -> Path:
    """A copy of the page that something happened to."""
    shutil.copytree(folder, out)
    change(out)
    return out


def flip(out: Path) -> None:
    path = out / "models" / "1-student" / "items.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x99")


def cut(out: Path) -> None:
    path = out / "models" / "1-student" / "encoder.onnx"
    path.write_bytes(path.read_bytes()[:-10])


def newer(out: Path) -> None:
    path = out / "models" / "1-student" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 3}))


TROUBLES = {
    "items.npy is damaged": flip,
    "encoder.onnx has": cut,
    "format version 3; this page reads version 2": newer,
    "The bundle lacks catalogue.json (404)": lambda out: (out / "models" / "1-student" / "catalogue.json").unlink(),
    "There is no model beside this page": lambda out: (out / "web.json").unlink(),
    "The model's program did not start": lambda out: (out / "ort" / "ort.wasm.bundle.min.mjs").unlink(),
}


@pytest.mark.parametrize("words", TROUBLES)
def test_a_damaged_page_says_what_is_wrong(open_page, folder, tmp_path, words):
    with serving_folder(changed(folder, tmp_path / "page", TROUBLES[words])) as address:
        page = open_page(address, expected=("Failed to load resource",))
        page.wait_for_selector("[role=alert]")
        assert words in page.inner_text("[role=alert]")
        page.context.close()
