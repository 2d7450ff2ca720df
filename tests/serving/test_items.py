"""Items: found, compared, added by text, withdrawn, and all of it again after a restart."""

import numpy as np
import polars as pl
import pytest
import torch

from slmrec.models import TextKNN
from slmrec.serving import Fleet, create_app, load_served, open_store
from slmrec.serving.filters import Attribute
from slmrec.serving.served import ServedModel
from slmrec.serving.shelf import Shelf

from .conftest import error, tiny_sasrec
from .test_recommend import ids
from .test_users import event, post

VECTORS = {"n1": [1.0, 0.0, 2.0], "n2": [0.0, 1.0, -1.0]}


def new(item, **facts):
    return {"item_id": item, "text": f"New {item}", "vector": VECTORS.get(item, [1.0, 1.0, 1.0])} | facts


@pytest.fixture
def textual(cycle):
    """A SASRec that knows its items by vectors of the user's own as well."""
    model = tiny_sasrec(cycle, text_dim=3, text_source="mine.parquet")
    torch.manual_seed(5)
    model.items.describe(torch.randn(20, 3), torch.ones(20, dtype=torch.bool))
    return model


@pytest.fixture
def served(textual, house):
    return lambda: [ServedModel("text", textual, "fp32", 2**20), ServedModel("sasrec", house.sasrec, "fp32", 2**20)]


def test_similar_items_are_those_of_the_model(house, client):
    for name in ("llm", "sasrec"):
        told = client.get("/items/005/similar", params={"k": 4, "model": name}).json()
        frame = getattr(house, name).similar_items(["005"], k=4)
        assert ids(told) == frame["item_id"].to_list()
        np.testing.assert_allclose([item["score"] for item in told["items"]], frame["score"], rtol=1e-5)
    response = client.get("/items/005/similar?model=popularity")
    assert (response.status_code, error(response)) == (422, "no_likeness")
    assert client.get("/items/nope/similar").status_code == 404
    assert len(client.get("/items/005/similar?k=1000").json()["items"]) == 19


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/items?q=new", "query.q"),
        ("/items/005/similar?n=3", "query.n"),
        ("/items/005/audience?k=3&modell=llm", "query.modell"),
        ("/attributes?models=llm", "query.models"),
    ],
)
def test_what_is_asked_by_an_unknown_name_is_refused_by_it(client, path, where):
    response = client.get(path)
    assert (response.status_code, error(response)) == (422, "malformed")
    assert response.json()["error"]["where"] == where
    assert "no such key" in response.json()["error"]["message"]


def test_an_item_tells_all_that_is_known(client):
    assert client.get("/items/005").json() == {
        "item_id": "005",
        "text": "Item 5",
        "attributes": {"year": 1992, "genre": "Crime, Drama"},
        "withdrawn": False,
        "models": ["llm", "sasrec", "popularity"],
    }
    response = client.get("/items/nope")
    assert (response.status_code, error(response)) == (404, "unknown_item")


def test_search_wants_every_word_and_puts_beginnings_first(house):
    titles = ["Café Noir", "The cafe", "Decaf", "Noir cafe", "Other", None]
    served = ServedModel("m", house.sasrec, "fp32", 1)
    served.ids, served.texts = list("abcdef"), [title or "f" for title in titles]
    shelf = Shelf([served])
    found = lambda query, limit=9, without=(): [i.item_id for i in shelf.search(query, limit, without)]  # noqa: E731
    assert found("cafe") == ["a", "b", "d"]
    assert found("CAF") == ["a", "b", "d", "c"]
    assert found("noir caf") == ["d", "a"]
    assert found("  ") == list("abcdef")
    assert found("", 2) == ["a", "b"]
    assert found("f") == ["f", "a", "b", "c", "d"]  # the id first
    assert found("cafe", without=["a"]) == ["b", "d"]
    assert found("nothing") == []


def test_withdrawn_items_stand_in_no_list_until_they_come_back(house, client):
    history = {"history": ["001"], "k": 20}
    first = ids(client.post("/recommend", json=history).json())
    gone = first[0]
    assert client.delete(f"/items/{gone}").json() == {"item_id": gone, "withdrawn": True}
    assert client.delete(f"/items/{gone}").status_code == 200
    assert client.delete("/items/nope").status_code == 404
    for name, model in (("llm", house.llm), ("popularity", house.popularity)):
        wanted = model.recommend([["001"]], k=20, deny=[gone])["item_id"].to_list()
        assert ids(client.post("/recommend", json=history | {"model": name}).json()) == wanted
    assert ids(client.post("/recommend", json=history | {"allow": [gone]}).json()) == []
    assert gone not in ids(client.get("/items/001/similar?k=20").json())
    assert len(client.get("/items/001/similar?k=18").json()["items"]) == 18
    assert gone not in [i["item_id"] for i in client.get("/items?limit=100").json()["items"]]
    assert client.get(f"/items/{gone}").json()["withdrawn"] is True
    told = client.post("/recommend", json={"history": [gone], "k": 3})  # it is still read in histories
    assert told.status_code == 200
    back = client.post("/items", json={"items": [{"item_id": gone, "text": "again"}]}).json()
    assert back == {"added": 0, "restored": 1, "known": 0, "models": []}
    assert ids(client.post("/recommend", json=history).json()) == first


def test_new_items_are_recommended_by_text_where_that_is_known(house, served, textual, cycle):
    with house.open(served=served()) as client:
        told = client.post("/items", json={"items": [new("n1"), new("n2", year=1999, genre="New")]}).json()
        assert told == {"added": 2, "restored": 0, "known": 0, "models": ["text"]}
        again = client.post("/items", json={"items": [new("n1")]}).json()
        assert again == {"added": 0, "restored": 0, "known": 1, "models": []}
        wanted = tiny_sasrec(cycle, text_dim=3, text_source="mine.parquet")
        wanted.load_state_dict(textual.state_dict())
        wanted.add_items(pl.DataFrame([new("n1"), new("n2")]))
        answer = client.post("/recommend", json={"history": ["001", "n1"], "k": 22}).json()
        assert ids(answer) == wanted.recommend([["001", "n1"]], k=22)["item_id"].to_list()
        assert "n2" in ids(answer)
        assert ids(client.post("/recommend", json={"history": ["001"], "filters": {"genre": ["New"]}}).json()) == ["n2"]
        assert [i["item_id"] for i in client.get("/items?query=new").json()["items"]] == ["n1", "n2"]
        assert client.get("/items/n2").json()["attributes"] == {"year": 1999, "genre": "New"}
        assert client.get("/items/n1").json()["models"] == ["text"]
        assert client.post("/recommend", json={"model": "sasrec", "history": ["n1"]}).status_code == 422
        assert client.get("/items/n1/audience?model=sasrec").status_code == 404
        client.delete("/items/n2")
    assert len(textual.catalogue) == 20  # what was loaded is as it was
    with house.open(served=served()) as client:  # after a restart
        answer = client.post("/recommend", json={"history": ["001", "n1"], "k": 22}).json()
        assert ids(answer) == wanted.recommend([["001", "n1"]], k=22, deny=["n2"])["item_id"].to_list()


def test_a_text_knn_finds_a_new_item_whose_text_is_like_the_historys(house, cycle):
    vectors = torch.randn(20, 3, generator=torch.Generator().manual_seed(5))
    served = ServedModel("knn", TextKNN.from_data(cycle, vectors, "mine.parquet", neighbours=5), "fp32", 1)
    with house.open(served=[served]) as client:
        told = client.post("/items", json={"items": [new("n1", vector=vectors[7].tolist())]}).json()
        assert told == {"added": 1, "restored": 0, "known": 0, "models": ["knn"]}
        alike = cycle.catalogue.ids([8])[0]
        assert ids(client.post("/recommend", json={"history": [alike], "k": 1}).json()) == ["n1"]
        assert client.post("/recommend", json={"history": ["n1"], "k": 1}).json()["items"][0]["item_id"] == alike


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"item_id": "x", "text": "X"}, "vector"),
        ({"item_id": "x", "vector": [1.0]}, "lengths"),
        ({"item_id": "x", "vector": [0.0, 0.0, 0.0]}, "no text"),
        (new("x", year="soon"), "year"),
        (new("x") | {"item_id": "n1"}, "twice"),
    ],
)
def test_new_items_that_cannot_be_taken_change_nothing(house, served, item, said):
    with house.open(served=served()) as client:
        response = client.post("/items", json={"items": [new("n1"), item]})
        assert (response.status_code, error(response)) == (422, "refused")
        assert said in response.json()["error"]["message"]
        assert client.get("/items/n1").status_code == 404


def test_where_no_model_takes_items_it_is_said(client):
    response = client.post("/items", json={"items": [{"item_id": "x", "text": "X"}]})
    assert (response.status_code, error(response)) == (422, "refused")
    assert "item_text" in response.json()["error"]["message"]
    many = {f"a{i}": 1 for i in range(33)}
    assert client.post("/items", json={"items": [{"item_id": "x"} | many]}).status_code == 422
    nested = client.post("/items", json={"items": [{"item_id": "x", "a-b": {"c": 1}}]})
    assert (nested.status_code, nested.json()["error"]["where"]) == (422, "body.items.0.a-b")


def test_one_server_sees_what_another_changed(house, served):
    store = open_store(str(house.folder / "shared.sqlite"))
    ours, theirs = Fleet(served(), store, load_served), Fleet(served(), store, load_served)
    assert not ours.refresh()
    theirs.add([new("n1")])
    theirs.withdraw("003")
    assert ours.refresh()
    assert "n1" in ours.view.models["text"].place
    assert ours.view.withdrawn == {"003"}
    assert not ours.refresh()
    store.close()


@pytest.mark.parametrize("name", ["llm", "popularity"])
def test_the_audience_is_whose_lists_hold_the_item_highest(house, client, name):
    model = getattr(house, name)
    histories = {f"u{i}": [f"{(3 * i + j) % 20:03}" for j in range(1 + i % 4)] for i in range(12)}
    for user, history in histories.items():
        post(client, user, *(event(i, item, 10 + i) for i, item in enumerate(history)))
    client.delete("/items/002")
    told = client.get("/items/007/audience", params={"k": 100, "model": name}).json()
    assert told["considered"] == 12
    wanted = {}
    for user, history in histories.items():
        if "007" not in history:
            scores = dict(
                zip(
                    model.catalogue.frame["item_id"],
                    model.score([model.catalogue.index(history)])[0].tolist(),
                    strict=True,
                )
            )
            rivals = [score for item, score in scores.items() if item not in {*history, "002"}]
            wanted[user] = 1 + sum(score > scores["007"] + 1e-6 for score in rivals)
    assert {member["user"]: member["rank"] for member in told["users"]} == wanted
    assert [member["rank"] for member in told["users"]] == sorted(wanted.values())
    assert len(client.get("/items/007/audience?k=2").json()["users"]) == 2
    assert client.get("/items/nope/audience").status_code == 404


def test_attributes_of_every_type():
    numbers = Attribute([1, 2.0, True, None, [3, "4"], "a | b"])
    assert numbers.having([1, "2", "true"]).tolist() == [0, 1, 2]
    assert numbers.having([3, 4, "4"]).tolist() == [4, 4, 4]
    assert numbers.having(["b", "a | b"]).tolist() == [5, 5]
    assert numbers.having(["None"]).tolist() == []


def test_models_are_swapped_in_whole_or_not_at_all(house, cycle):
    key = {"X-API-Key": "secret"}
    other = tiny_sasrec(cycle, seed=9)
    other.save_pretrained(house.folder / "other")
    (house.folder / "broken").mkdir()
    with house.open(api_key="secret") as client:
        asked = {"history": ["001"], "model": "sasrec"}
        before = client.post("/recommend", json=asked, headers=key).json()
        for path in ("broken", "none", "events.sqlite"):
            response = client.put("/models/sasrec", json={"path": str(house.folder / path)}, headers=key)
            assert (response.status_code, error(response)) == (422, "no_model")
        assert ids(client.post("/recommend", json=asked, headers=key).json()) == ids(before)
        told = client.put("/models/sasrec", json={"path": str(house.folder / "other")}, headers=key)
        assert (told.status_code, told.json()["name"]) == (200, "sasrec")
        assert (
            ids(client.post("/recommend", json=asked, headers=key).json())
            == other.recommend([["001"]])["item_id"].to_list()
        )
        assert client.put("/models/second", json={"path": str(house.folder / "other")}, headers=key).status_code == 200
        assert len(client.get("/models", headers=key).json()["models"]) == 4
        assert client.put("/models/a%20b", json={"path": "x"}, headers=key).status_code == 422
    with house.open() as client:
        response = client.put("/models/sasrec", json={"path": str(house.folder / "other")})
        assert (response.status_code, error(response)) == (403, "no_key")


def test_a_bundle_answers_as_its_own_recommend(house, cycle):
    """A bundle whose graph is the mean of the history's vectors."""
    runtime = pytest.importorskip("slmrec.runtime", reason="the runtime of bundles is not there")
    from slmrec.serving.served import ServedBundle

    drawn = np.random.default_rng(0)
    columns = house.sasrec.catalogue.frame.to_dict(as_series=False)
    manifest = {"kind": "sasrec", "name": "b", "precision": "int8", "max_length": 8, "layers": 2, "parameters": 7}
    manifest |= {"weight": 1.0, "neighbours": []}

    def mean(vectors, lengths):
        return np.stack([row[:n].mean(axis=0) for row, n in zip(vectors, lengths, strict=True)])

    bundle = runtime.Bundle(manifest, runtime.Catalogue(columns), drawn.normal(size=(20, 4)).astype(np.float32), mean)
    with house.open(served=[ServedBundle("b", bundle)]) as client:
        for options in ({}, {"deny": ["001"]}, {"k": 100}, {"exclude_seen": False}):
            answer = client.post("/recommend", json={"history": ["003", "004"]} | options).json()
            (wanted,) = bundle.recommend([["003", "004"]], **options)
            assert ids(answer) == [one.item_id for one in wanted]
            np.testing.assert_allclose(
                [one["score"] for one in answer["items"]], [one.score for one in wanted], rtol=1e-5
            )
        similar = client.get("/items/005/similar?k=3").json()
        assert ids(similar) == [one.item_id for one in bundle.similar_items(["005"], k=3)[0]]
        post(client, "u", event(1, "003"), event(2, "004"))
        assert (
            len(client.post("/recommend", json={"user": "u", "diversity": 0.5, "explain": True}).json()["items"]) == 10
        )
        assert client.get("/items/005/audience").json()["users"][0]["user"] == "u"
        assert client.get("/models").json()["models"][0]["precision"] == "int8"
        assert client.post("/items", json={"items": [{"item_id": "x", "text": "X"}]}).status_code == 422


def test_what_cannot_be_served(house):
    from slmrec.errors import UserError

    store = open_store(str(house.folder / "e.sqlite"))
    model = ServedModel("m", house.sasrec, "fp32", 1)
    with pytest.raises(UserError, match="two models are called 'm'"):
        Fleet([model, model], store, load_served)
    with pytest.raises(UserError, match="there is no model folder"):
        load_served("m", house.folder / "none")
    app = create_app(Fleet([model], store, load_served), store)
    assert app.title == "slmrec"
    store.close()
