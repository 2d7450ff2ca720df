"""Lists over HTTP against `Recommender.recommend` and against arithmetic on the model's own scores."""

import numpy as np
import pytest

from .conftest import error

MODELS = ("llm", "sasrec", "popularity")
HISTORY = ["003", "004", "003", "009"]


def ask(client, **body):
    response = client.post("/recommend", json={"history": HISTORY} | body)
    assert response.status_code == 200, response.text
    return response.json()


def ids(answer) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def agrees(answer, frame) -> None:
    """The same items and ranks; scores to what another batch may change."""
    assert ids(answer) == frame["item_id"].to_list()
    assert [item["rank"] for item in answer["items"]] == frame["rank"].to_list()
    np.testing.assert_allclose([item["score"] for item in answer["items"]], frame["score"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_lists_are_those_of_recommend(house, client, name):
    model = getattr(house, name)
    for options in (
        {},
        {"k": 3},
        {"k": 1000},
        {"exclude_seen": False},
        {"deny": ["005", "006"]},
        {"allow": ["001", "002", "003"]},
        {"allow": ["001", "002"], "deny": ["001"]},
    ):
        answer = ask(client, model=name, **options)
        agrees(answer, model.recommend([HISTORY], **options))
        assert answer["model"] == name
        assert answer["history_length"] == 4


def test_the_first_model_is_the_default(client):
    told = client.get("/models").json()
    assert told["default"] == "llm"
    assert [model["name"] for model in told["models"]] == list(MODELS)
    assert ask(client)["model"] == "llm"
    first = told["models"][0]
    assert first | {"milliseconds": 0, "parameters": 0} == {
        "name": "llm", "kind": "slmrec", "layers": 3, "parameters": 0, "items": 20, "precision": "fp32",
        "adds_items": False, "milliseconds": 0,
    }  # fmt: skip
    assert first["milliseconds"] > 0


def test_unknown_items_are_refused_or_skipped(house, client):
    response = client.post("/recommend", json={"history": ["001", "nope"]})
    assert (response.status_code, error(response)) == (422, "unknown_items")
    assert response.json()["error"]["where"] == "body.history"
    assert "'nope'" in response.json()["error"]["message"]
    agrees(ask(client, history=["001", "nope"], unknown="skip"), house.llm.recommend([["001"]]))
    for history in ([], ["nope"]):
        response = client.post("/recommend", json={"history": history, "unknown": "skip"})
        assert (response.status_code, error(response)) == (422, "empty_history")
    response = client.post("/recommend", json={"history": ["001"], "deny": ["nope"]})
    assert (response.status_code, response.json()["error"]["where"]) == (422, "body.deny")


def test_nothing_left_is_an_empty_list(client):
    everything = [f"{i:03}" for i in range(20)]
    assert ask(client, deny=everything)["items"] == []
    assert ask(client, allow=[])["items"] == []
    assert ask(client, allow=HISTORY)["items"] == []
    assert ask(client, filters={"year": [1]})["items"] == []


def test_filters_keep_items_that_have_a_value_of_each_attribute(client):
    # item i: year 1990 + i % 3; genre by i % 4: Comedy, "Crime, Drama", Drama, none
    history = ["000"]
    years = ids(ask(client, history=history, filters={"year": [1990, "1991"]}, k=20))
    assert sorted(years) == [f"{i:03}" for i in range(1, 20) if i % 3 in (0, 1)]
    drama = ids(ask(client, history=history, filters={"genre": ["Drama"]}, k=20))
    assert sorted(drama) == [f"{i:03}" for i in range(20) if i % 4 in (1, 2)]
    both = ids(ask(client, history=history, filters={"genre": ["Crime, Drama"], "year": [1990]}, k=20))
    assert sorted(both) == [f"{i:03}" for i in range(20) if i % 4 == 1 and i % 3 == 0]
    response = client.post("/recommend", json={"history": history, "filters": {"gender": ["x"]}})
    assert (response.status_code, error(response)) == (422, "unknown_attribute")
    assert "did you mean 'genre'" in response.json()["error"]["message"]
    told = {one["name"]: one["values"] for one in client.get("/attributes").json()["attributes"]}
    assert told["genre"] == [
        {"value": "Drama", "count": 10},
        {"value": "Comedy", "count": 5},
        {"value": "Crime", "count": 5},
    ]
    assert {one["value"]: one["count"] for one in told["year"]} == {"1990": 7, "1991": 7, "1992": 6}


def test_a_batch_is_its_requests_one_by_one(client):
    requests = [
        {"history": HISTORY},
        {"history": ["001"], "k": 2, "model": "sasrec"},
        {"history": ["001", "002"], "deny": ["005"]},
        {"history": HISTORY, "exclude_seen": False, "k": 20},
    ]
    results = client.post("/recommend/batch", json={"requests": requests}).json()["results"]
    assert [ids(result) for result in results] == [ids(ask(client, **request)) for request in requests]
    response = client.post("/recommend/batch", json={"requests": [*requests, {"history": ["nope"]}]})
    assert (response.status_code, response.json()["error"]["where"]) == (422, "body.requests.4.history")


def test_diversity_is_maximal_marginal_relevance(house, client):
    """A second implementation, item by item over cosines, on the scores of all unseen items."""
    scores = house.sasrec.score([house.sasrec.catalogue.index(HISTORY)])[0].detach().numpy()
    vectors = house.sasrec.item_vectors().detach().numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    names = house.sasrec.catalogue.frame["item_id"].to_list()
    left = {i: scores[i] for i in range(20) if names[i] not in HISTORY}
    low, high = min(left.values()), max(left.values())
    for strength in (0.3, 0.8):
        chosen: list[int] = []
        while len(chosen) < 6:
            value = {
                i: (1 - strength) * (score - low) / (high - low)
                - strength * max((float(unit[i] @ unit[j]) for j in chosen), default=0.0)
                for i, score in left.items()
                if i not in chosen
            }
            chosen.append(max(value, key=value.__getitem__))
        answer = ask(client, model="sasrec", diversity=strength, k=6)
        assert ids(answer) == [names[i] for i in chosen]
        np.testing.assert_allclose([item["score"] for item in answer["items"]], scores[chosen], rtol=1e-4)
    assert ids(ask(client, model="sasrec", diversity=0.0)) == ids(ask(client, model="sasrec"))
    response = client.post("/recommend", json={"history": HISTORY, "model": "popularity", "diversity": 0.5})
    assert (response.status_code, error(response)) == (422, "no_likeness")


@pytest.mark.parametrize("name", MODELS)
def test_contributions_are_differences_of_scores(house, client, name):
    model = getattr(house, name)
    history = [f"{i:03}" for i in (1, 5, 3, 5, 7, 2, 9, 11, 4, 6)]  # more than are read
    whole = model.score([model.catalogue.index(history)])[0]
    column = int(model.catalogue.index(["010"])[0]) - 1
    response = client.post("/explain", json={"model": name, "history": history, "item_id": "010"})
    told = response.json()
    assert told["score"] == pytest.approx(whole[column].item(), rel=1e-4, abs=1e-5)
    assert [one["item_id"] for one in told["contributions"]] == history
    assert [one["place"] for one in told["contributions"]] == list(range(10))
    for place, one in enumerate(told["contributions"]):
        without = history[:place] + history[place + 1 :]
        wanted = (whole - model.score([model.catalogue.index(without)])[0])[column].item()
        assert one["contribution"] == pytest.approx(wanted, rel=1e-3, abs=1e-5)
    only = client.post("/explain", json={"model": name, "history": ["001"], "item_id": "010"}).json()
    assert only["contributions"][0]["contribution"] == only["score"]


def test_because_is_the_three_events_that_speak_most_for_an_item(client):
    history = [f"{i:03}" for i in (1, 5, 3, 7, 2)]
    for item in ask(client, history=history, explain=True, k=4)["items"]:
        told = client.post("/explain", json={"history": history, "item_id": item["item_id"]}).json()["contributions"]
        best = sorted((one for one in told if one["contribution"] > 0), key=lambda one: -one["contribution"])[:3]
        assert [one["item_id"] for one in item["because"]] == [one["item_id"] for one in best]
        for ours, theirs in zip(item["because"], best, strict=True):
            assert ours["contribution"] == pytest.approx(theirs["contribution"], rel=1e-3, abs=1e-5)
            assert ours["text"] == f"Item {int(ours['item_id'])}"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "body"),
        ({"history": ["001"], "user": "u"}, "body"),
        ({"history": "001"}, "body.history"),
        ({"history": ["001"], "k": 0}, "body.k"),
        ({"history": ["001"], "k": 1001}, "body.k"),
        ({"history": ["001"], "k": True}, "body.k"),
        ({"history": ["001"], "k": 10**30}, "body.k"),
        ({"history": ["001"] * 1001}, "body.history"),
        ({"history": ["x" * 257]}, "body.history.0"),
        ({"history": ["a\x00b"]}, "body.history.0"),
        ({"history": [10**30]}, "body.history.0"),
        ({"history": [None]}, "body.history.0"),
        ({"history": [1.5]}, "body.history.0"),
        ({"history": ["001"], "diversity": 2}, "body.diversity"),
        ({"history": ["001"], "filters": {"year": []}}, "body.filters.year"),
        ({"history": ["001"], "filters": {"release-year": []}}, "body.filters.release-year"),
        ({"history": ["001"], "filters": {"int": [[]]}}, "body.filters.int.0"),
        ({"history": ["001"], "kk": 3}, "body.kk"),
        ({"history": ["001"], "k-max": 3}, "body.k-max"),
        ({"history": ["001"], "user": {"a-b": 1}}, "body.user"),
        ({"user": "u", "events": [{"event_id": "a", "item_id": "001", "int": 1}]}, "body.events.0.int"),
        ({"user": "u", "events": [{"event_id": "a"}]}, "body.events.0.item_id"),
        ({"history": ["001"], "model": "other"}, "body.model"),
        ([], "body"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(client, body, where):
    response = client.post("/recommend", json=body)
    assert response.status_code == 422
    assert error(response)
    assert response.json()["error"]["where"] == where


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b'{"history": ["\\ud800"]}',
        b'{"history": [NaN]}',
        b'{"history": ["001"], "diversity": NaN}',
        b'{"history": ["001"], "diversity": Infinity}',
        b'{"history": ["001"], "k": 1e999}',
        b'{"history": ["001"], "k": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"history": ["' + "é".encode("latin-1") + b'"]}',
        b"null",
        b'"x"',
    ],
)
def test_bytes_that_are_no_request_are_refused(client, content):
    for path in ("/recommend", "/recommend/batch", "/explain", "/users/u/events", "/items"):
        response = client.post(path, content=content, headers={"content-type": "application/json"})
        assert response.status_code == 422, (path, response.text)
        error(response)
