"""Hundreds of requests made from the OpenAPI document, fitting and not: no fault, and only what the document tells."""

import hypothesis
import pytest

from slmrec.serving import Fleet, create_app, load_served, open_store
from slmrec.serving.served import ServedModel

from .conftest import tiny_sasrec

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
openapi_checks = pytest.importorskip("schemathesis.specs.openapi.checks")

CHECKS = [
    schemathesis.checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
"""Not whether what fits is answered: an item or user that fits the document may be unknown."""
KEY = {"X-API-Key": "key"}


@pytest.fixture(scope="module")
def document(cycle, tmp_path_factory):
    """The document of an application with a known user."""
    store = open_store(str(tmp_path_factory.mktemp("openapi") / "e.sqlite"))
    model = ServedModel("m", tiny_sasrec(cycle), "fp32", 1)
    app = create_app(Fleet([model], store, load_served), store, api_key="key")

    async def without_lifespan(scope, receive, send):  # schemathesis ends one after each test
        if scope["type"] == "http":
            await app(scope, receive, send)
        else:
            raise RuntimeError("no lifespan here")

    yield schemathesis.openapi.from_asgi("/openapi.json", without_lifespan)
    store.close()


def operations():
    """Method and path of every operation, so that each is a test of its own."""
    return [
        ("GET", "/health"), ("GET", "/ready"), ("GET", "/metrics"), ("GET", "/models"), ("PUT", "/models/{name}"),
        ("POST", "/recommend"), ("POST", "/recommend/batch"), ("POST", "/explain"), ("POST", "/users/{user}/events"),
        ("GET", "/users/{user}/history"), ("DELETE", "/users/{user}"), ("GET", "/items"), ("POST", "/items"),
        ("GET", "/items/{item_id}"), ("DELETE", "/items/{item_id}"), ("GET", "/items/{item_id}/similar"),
        ("GET", "/items/{item_id}/audience"), ("GET", "/attributes"),
    ]  # fmt: skip


def test_every_operation_is_tried(document):
    told = {(one.ok().method.upper(), one.ok().path) for one in document.get_all_operations()}
    assert told == set(operations())


@pytest.mark.parametrize(("method", "path"), operations())
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_nothing_that_is_sent_is_a_fault(document, method, path, mode):
    operation = document[path][method]
    chosen = schemathesis.GenerationMode(mode)

    @hypothesis.given(case=operation.as_strategy(generation_mode=chosen))
    @hypothesis.settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def tried(case):
        case.call_and_validate(headers=KEY, checks=CHECKS)

    try:
        tried()
    except hypothesis.errors.Unsatisfiable:
        assert mode == "negative"  # a request without parameters cannot be wrong
