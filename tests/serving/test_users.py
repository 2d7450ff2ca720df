"""Users' events: kept once, in order, read by recommendations, forgotten on request."""

import pytest

from slmrec.serving import open_store
from slmrec.serving.store import StoreError

from .conftest import error
from .test_recommend import agrees, ids


def post(client, user, *events):
    response = client.post(f"/users/{user}/events", json={"events": list(events)})
    assert response.status_code == 200, response.text
    return response.json()


def event(number, item, timestamp=None):
    return {"event_id": number, "item_id": item} | ({} if timestamp is None else {"timestamp": timestamp})


def test_events_are_kept_once_and_by_time(client):
    assert post(client, "u", event("a", "001", 30), event("b", "002", 10)) == {"accepted": 2, "duplicates": 0}
    assert post(client, "u", event("a", "009", 99), event("c", "003", 20.5), event("c", "004", 5)) == {
        "accepted": 1,
        "duplicates": 2,
    }
    assert post(client, "v", event("a", "005")) == {"accepted": 1, "duplicates": 0}  # another user's own
    told = client.get("/users/u/history").json()
    assert told == {
        "user": "u",
        "events": [
            {"event_id": "b", "item_id": "002", "timestamp": 10.0},
            {"event_id": "c", "item_id": "003", "timestamp": 20.5},
            {"event_id": "a", "item_id": "001", "timestamp": 30.0},
        ],
    }


def test_events_of_one_time_keep_their_order(client):
    post(client, "u", *(event(i, f"{i:03}", 7) for i in (5, 3, 8)))
    post(client, "u", event(1, "001", 7))
    assert [e["item_id"] for e in client.get("/users/u/history").json()["events"]] == ["005", "003", "008", "001"]


@pytest.mark.parametrize("model", ["llm", "sasrec"])
def test_known_users_get_what_their_history_gets(house, client, model):
    """At every event, through the incremental states and past the window, also when one comes late."""
    history: list[str] = []
    for number in range(12):
        item = f"{(number * 7) % 20:03}"
        history.append(item)
        post(client, "me", event(number, item, 100 + number))
        answer = client.post("/recommend", json={"user": "me", "k": 5, "model": model}).json()
        agrees(answer, getattr(house, model).recommend([history], k=5))
        assert answer["history_length"] == len(history)
    post(client, "me", event("late", "019", 105.5))
    history.insert(6, "019")
    answer = client.post("/recommend", json={"user": "me", "k": 5, "model": model}).json()
    agrees(answer, getattr(house, model).recommend([history], k=5))


@pytest.mark.parametrize("model", ["llm", "sasrec"])
def test_events_come_with_the_request_that_they_are_for(house, client, model):
    """One call keeps them and recommends after them; sent again, nothing is kept twice."""
    history: list[str] = []
    for number in range(3):
        history.append(f"{number + 1:03}")
        body = {"user": "me", "events": [event(number, history[-1], 100 + number)], "k": 5, "model": model}
        for accepted in (1, 0):
            answer = client.post("/recommend", json=body).json()
            assert (answer["accepted"], answer["duplicates"]) == (accepted, 1 - accepted)
            agrees(answer, getattr(house, model).recommend([history], k=5))
    assert [kept["item_id"] for kept in client.get("/users/me/history").json()["events"]] == history
    requests = [{"user": user, "events": [event("x", "007"), event("y", "008")]} for user in ("a", "b", "a")]
    results = client.post("/recommend/batch", json={"requests": requests}).json()["results"]
    assert [(one["accepted"], one["history_length"]) for one in results] == [(2, 2), (2, 2), (0, 2)]
    assert "accepted" not in client.post("/recommend", json={"user": "a"}).json()


def test_events_that_cannot_come_with_a_request(house, client):
    for body, code in (
        ({"history": ["001"], "events": [event(1, "001")]}, "malformed"),
        ({"user": "u", "events": []}, "malformed"),
        ({"user": "u", "events": [event(1, "nothing")]}, "unknown_items"),
    ):
        response = client.post("/recommend", json=body)
        assert (response.status_code, error(response)) == (422, code)
    assert client.get("/users/u/history").json()["events"] == []
    # What can be kept is, though the rest of the request is of no use.
    refused = client.post("/recommend", json={"user": "u", "events": [event(1, "001")], "filters": {"no": [1]}})
    assert (refused.status_code, error(refused)) == (422, "unknown_attribute")
    assert len(client.get("/users/u/history").json()["events"]) == 1


def test_events_that_the_store_loses_are_not_acknowledged(house, monkeypatch):
    """Whoever sent none is answered all the same."""
    store = open_store(str(house.folder / "broken.sqlite"))

    def broken(posts):
        raise StoreError("the disk is full of secrets")

    with house.open(store=store) as client:
        monkeypatch.setattr(store, "append", broken)
        response = client.post("/recommend", json={"user": "u", "events": [event(1, "001")]})
        assert (response.status_code, error(response)) == (503, "store")
        assert "secrets" not in response.text
        assert client.post("/recommend", json={"history": ["001"]}).status_code == 200
        assert client.get("/users/u/history").json()["events"] == []


def test_known_and_unknown_users_of_one_batch(house, client):
    for user, item in (("a", "001"), ("b", "002")):
        post(client, user, event(1, item))
    requests = [{"user": "a"}, {"history": ["003"]}, {"user": "b"}, {"user": "a", "k": 2}]
    results = client.post("/recommend/batch", json={"requests": requests}).json()["results"]
    wanted = [house.llm.recommend([[item]]) for item in ("001", "003", "002")]
    for result, frame in zip(results, wanted, strict=False):
        agrees(result, frame)
    assert ids(results[3]) == ids(results[0])[:2]


def test_who_is_not_known(client):
    response = client.post("/recommend", json={"user": "nobody"})
    assert (response.status_code, error(response)) == (404, "unknown_user")
    assert client.get("/users/nobody/history").json() == {"user": "nobody", "events": []}
    assert client.delete("/users/nobody").json() == {"user": "nobody", "deleted": 0}


def test_forgotten_users_are_gone(house, client):
    post(client, "u", event(1, "001"), event(2, "002"))
    client.post("/recommend", json={"user": "u"})
    assert b"slmrec_user_state_bytes 0.0" not in client.get("/metrics").content
    assert client.delete("/users/u").json() == {"user": "u", "deleted": 2}
    assert client.get("/users/u/history").json()["events"] == []
    assert b"slmrec_user_state_bytes 0.0" in client.get("/metrics").content
    assert client.post("/recommend", json={"user": "u"}).status_code == 404


@pytest.mark.parametrize("user", ["a/b", "ü ñ", "50%", "a+b", "x?y#z", "%2F", "..", "💥"])
def test_ids_may_hold_anything_that_can_be_written(client, user):
    from urllib.parse import quote

    path = quote(user, safe="").replace(".", "%2E")
    assert post(client, path, event("e/1", "001"))["accepted"] == 1
    assert client.get(f"/users/{path}/history").json()["user"] == user
    assert client.post("/recommend", json={"user": user}).status_code == 200
    assert client.delete(f"/users/{path}").json()["deleted"] == 1


def test_numbers_and_their_spelling_are_one_user(client):
    post(client, "17", event(1, "001"))
    assert client.post("/recommend", json={"user": 17}).status_code == 200


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"events": []}, "body.events"),
        ({"events": [{"event_id": "a"}]}, "body.events.0.item_id"),
        ({"events": [event("a", "nope")]}, "body.events"),
        ({"events": [event("a", "001", -1)]}, "body.events.0.timestamp"),
        ({"events": [event("a", "001", 1_700_000_000_000)]}, "body.events.0.timestamp"),  # milliseconds
        ({"events": [event("", "001")]}, "body.events.0.event_id"),
        ({"events": [event("a", "001")] * 1001}, "body.events"),
    ],
)
def test_events_that_cannot_be_kept(client, body, where):
    response = client.post("/users/u/events", json=body)
    assert (response.status_code, response.json()["error"]["where"]) == (422, where)
    assert client.get("/users/u/history").json()["events"] == []


@pytest.mark.parametrize("path", ["/users/%FF/history", "/users/%00/history", "/users/" + "x" * 300 + "/history"])
def test_users_that_cannot_be(client, path):
    response = client.get(path)
    assert response.status_code == 422
    assert response.json()["error"]["where"] == "path.user"


def test_a_store_that_fails_is_no_fault(house, monkeypatch):
    store = open_store(str(house.folder / "other.sqlite"))
    with house.open(store=store) as client:
        post(client, "u", event(1, "001"))
        monkeypatch.setattr(type(store), "_connection", lambda self: __import__("sqlite3").connect("/nowhere/x"))
        for response in (
            client.post("/users/u/events", json={"events": [event(2, "001")]}),
            client.post("/recommend", json={"user": "u"}),
            client.get("/users/u/history"),
            client.get("/ready"),
        ):
            assert (response.status_code, error(response)) == (503, "store")
        assert client.post("/recommend", json={"history": ["001"]}).status_code == 200  # it needs no store
