"""What stands before the routes."""

import json
import threading
import time

import pytest

from slmrec.serving import Limits
from slmrec.serving.served import ServedModel

from .conftest import error
from .test_users import event, post

JSON = {"content-type": "application/json"}


def test_the_key_is_asked_for_where_it_is_set(house):
    with house.open(api_key="sécret") as client:
        for path in ("/models", "/metrics", "/items", "/users/u/history", "/nothing"):
            response = client.get(path)
            assert (response.status_code, error(response)) == (401, "unauthorized")
            assert client.get(path, headers={"X-API-Key": "other"}).status_code == 401
        key = {"X-API-Key": "sécret".encode()}
        assert client.get("/models", headers=key).status_code == 200
        assert client.post("/recommend", json={"history": ["001"]}).status_code == 401
        assert client.post("/recommend", json={"history": ["001"]}, headers=key).status_code == 200
        for path in ("/health", "/ready", "/openapi.json", "/"):
            assert client.get(path).status_code == 200


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"])
def test_bodies_are_json(client, kind):
    for method, path in (("POST", "/recommend"), ("POST", "/items"), ("POST", "/users/u/events"), ("PUT", "/models/m")):
        response = client.request(method, path, content=b"{}", headers={"content-type": kind} if kind else {})
        assert (response.status_code, error(response)) == (415, "content_type")
    response = client.post(
        "/recommend", content=b'{"history": ["001"]}', headers={"content-type": "Application/JSON; charset=utf-8"}
    )
    assert response.status_code == 200


def test_bodies_have_a_size(house):
    with house.open(limits=Limits(body=1000)) as client:
        fits = json.dumps({"history": ["001"]}).ljust(1000).encode()
        assert client.post("/recommend", content=fits, headers=JSON).status_code == 200
        response = client.post("/recommend", content=fits + b" ", headers=JSON)
        assert (response.status_code, error(response)) == (413, "too_large")
        assert response.headers["connection"] == "close"
        sent = 0

        def endless():
            nonlocal sent
            for _ in range(100_000):
                sent += 1000
                yield b" " * 1000

        assert client.post("/recommend", content=endless(), headers=JSON).status_code == 413


def test_paths_and_methods_that_are_not_there(client):
    for method, path, status, code in (
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/models/", 404, "not_found"),
        ("GET", "/page/../../etc/passwd", 404, "not_found"),
        ("DELETE", "/models", 405, "method"),
        ("GET", "/recommend", 405, "method"),
        ("PATCH", "/items/001", 405, "method"),
    ):
        response = client.request(method, path, follow_redirects=False)
        assert (response.status_code, error(response)) == (status, code), path


def slowed(house, monkeypatch, seconds):
    encode = ServedModel.encode

    def slow(self, histories):
        time.sleep(seconds)
        return encode(self, histories)

    model = ServedModel("sasrec", house.sasrec, "fp32", 1)
    monkeypatch.setattr(ServedModel, "encode", slow)
    return [model]


def test_a_full_queue_refuses_quickly_and_serves_the_rest(house, monkeypatch):
    served = slowed(house, monkeypatch, 0.3)
    found = []
    with house.open(limits=Limits(queue=4, batch=2), served=served) as client:

        def ask():
            started = time.perf_counter()
            response = client.post("/recommend", json={"history": ["001"]})
            found.append((response.status_code, time.perf_counter() - started, response))

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.get("/health").status_code == 200
        refused = [(took, response) for status, took, response in found if status == 429]
        assert [status for status, _, _ in found].count(200) == 4
        assert len(refused) == 12
        assert max(took for took, _ in refused) < 0.3
        for _, response in refused:
            assert error(response) == "busy"
            assert response.headers["retry-after"] == "1"
        assert client.post("/recommend", json={"history": ["001"]}).status_code == 200


def test_an_answer_has_to_come_in_time(house, monkeypatch):
    served = slowed(house, monkeypatch, 0.5)
    with house.open(limits=Limits(seconds=0.1), served=served) as client:
        response = client.post("/recommend", json={"history": ["001"]})
        assert (response.status_code, error(response)) == (503, "timeout")
        assert response.headers["retry-after"] == "1"


def test_a_fault_is_told_as_one_and_logged_without_what_was_sent(house, monkeypatch, capsys):
    def broken(*_):
        raise KeyError("history of secret-user")

    with house.open() as client:
        monkeypatch.setattr("slmrec.serving.service.recommend", broken)
        response = client.post("/recommend", json={"history": ["001"]})
        assert (response.status_code, error(response)) == (500, "fault")
    logged = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    fault = next(line for line in logged if line["event"] == "fault")
    assert fault["error"] == "KeyError"
    assert any("test_limits.py" in place for place in fault["at"])
    assert "secret" not in json.dumps(logged)


def test_logs_hold_no_users_and_no_items(client, capsys):
    post(client, "the-user", event("the-event", "007"))
    client.post("/recommend", json={"user": "the-user"})
    client.get("/items/007/similar")
    client.get("/secret-path")
    logged = capsys.readouterr().err
    routes = [json.loads(line)["route"] for line in logged.splitlines()]
    assert routes == ["/users/{user}/events", "/recommend", "/items/{item_id}/similar", "other"]
    for word in ("the-user", "the-event", "007", "secret"):
        assert word not in logged


def test_metrics_count_what_was_answered(client):
    for _ in range(3):
        client.post("/recommend", json={"history": ["001"]})
    client.post("/recommend", json={})
    client.get("/users/abc/history")
    told = client.get("/metrics").text
    assert 'slmrec_requests_total{method="POST",route="/recommend",status="200"} 3.0' in told
    assert 'slmrec_requests_total{method="POST",route="/recommend",status="422"} 1.0' in told
    assert 'slmrec_request_seconds_count{route="/recommend"} 4.0' in told
    assert 'slmrec_batch_size_count{queue="worker"} 3.0' in told
    assert "slmrec_queue_length 0.0" in told
    assert "abc" not in told
