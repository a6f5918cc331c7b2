"""Every request has an id, a line in the log and a place in the figures."""

import asyncio
import json
import logging

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from app.api.middleware.observe import Observe
from app.auth.keys import KeyFile
from app.auth.keys import Scope as KeyScope
from app.main import create_app
from app.settings import Settings
from app.telemetry.logs import RequestContext, current_request
from app.telemetry.metrics import Metrics


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [r.__dict__["fields"] for r in caplog.records if r.name == "app.api.middleware.observe"]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def figures(client: TestClient) -> dict[str, float]:
    """Return the figures by name and labels."""
    text = client.get("/metrics").text
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_an_id_is_made_or_taken_and_said_again(client: TestClient) -> None:
    made = client.get("/livez").headers["X-Request-ID"]
    assert len(made) == 32
    assert client.get("/livez").headers["X-Request-ID"] != made
    taken = client.get("/livez", headers={"X-Request-ID": "job-7.b_2"})
    assert taken.headers["X-Request-ID"] == "job-7.b_2"
    for odd in ("", "a b", "x" * 65, 'a"b', "ä"):
        answer = client.get("/livez", headers={"X-Request-ID": odd.encode()})
        assert len(answer.headers["X-Request-ID"]) == 32


def test_a_problem_says_the_id_too(client: TestClient) -> None:
    for path in ("/items/nothing", "/nothing", "/items?limit=0"):
        answer = client.get(path, headers={"X-Request-ID": "mine"})
        assert answer.json()["request_id"] == "mine"
        assert answer.headers["X-Request-ID"] == "mine"


def test_a_line_says_what_was_asked_and_answered(
    client: TestClient, log: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"text": "a dog barks", "k": 3}).encode()
    headers = {"Content-Type": "application/json", "X-Request-ID": "mine"}
    answer = client.post("/search?targets=text", content=body, headers=headers)
    client.get("/items/a%0Ab")
    found, missing = lines(log)
    assert {k: found[k] for k in found if k != "ms"} == {
        "client": "testclient",
        "method": "POST",
        "route": "/search",
        "path": "/search",
        "status": 200,
        "bytes_in": len(body),
        "bytes_out": len(answer.content),
    }
    assert isinstance(found["ms"], float)
    assert found["ms"] > 0
    assert (missing["route"], missing["path"]) == ("/items/{id}", "/items/a%0Ab")
    assert (missing["status"], missing["problem"]) == (404, "not-found")


def test_no_secret_and_no_body_is_logged(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = KeyFile(settings.data_dir).add("web", KeyScope.READ)
    with TestClient(create_app(settings)) as client:
        client.post("/search", json={"text": "a dog barks"}, headers={"X-API-Key": key})
        client.get(f"/items?key={key}", headers={"X-API-Key": key[:-1]})
    own = [r for r in caplog.records if r.name.startswith("app.")]
    text = "".join(str(record.__dict__) for record in own)
    assert "'key': 'web'" in text
    assert key[:-1] not in text
    assert "dog" not in text


def test_health_checks_do_not_fill_the_log(
    client: TestClient, log: pytest.LogCaptureFixture
) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        client.get(path)
    assert lines(log) == []


def test_our_own_mistake_is_logged_with_its_id_and_counted(
    settings: Settings, log: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("planted")

    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/broken", headers={"X-Request-ID": "mine"})
        assert answer.status_code == 500
        assert answer.json()["request_id"] == "mine"
        assert answer.headers["X-Request-ID"] == "mine"
        assert figures(client)['srcid_problems_total{kind="internal-error"}'] == 1
    assert (lines(log)[0]["status"], lines(log)[0]["problem"]) == (500, "internal-error")


def test_requests_are_counted_by_method_route_and_status(client: TestClient) -> None:
    for _ in range(3):
        client.post("/encode", json={"text": "a dog"})
    client.get("/items/nothing")
    client.head("/items/nothing")
    seen = figures(client)
    assert seen['srcid_requests_total{method="POST",route="/encode",status="200"}'] == 3
    assert seen['srcid_request_seconds_count{method="POST",route="/encode"}'] == 3
    assert seen['srcid_requests_total{method="GET",route="/items/{id}",status="404"}'] == 1
    assert seen['srcid_requests_total{method="HEAD",route="/items/{id}",status="404"}'] == 1
    assert seen['srcid_problems_total{kind="not-found"}'] == 2
    assert seen["srcid_requests_in_flight"] == 1  # the one that asks


def test_odd_requests_make_no_new_series(client: TestClient) -> None:
    client.request("ODD", "/items")
    client.get("/unheard-of")
    client.get("/items/0")
    figures(client)  # has a place in them itself
    before = len(figures(client))
    for n in range(20):
        client.get(f"/unheard-of/{n}")
        client.request(f"ODD{n}", "/items")
        client.get(f"/items/{n}{n}")
    assert len(figures(client)) == before


def test_an_id_ends_with_its_request_unless_an_error_is_still_to_be_told() -> None:
    seen: list[RequestContext | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(current_request.get())
        if scope["path"] == "/broken":
            raise RuntimeError("planted")

    async def ask(path: str) -> None:
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        await Observe(app, metrics=Metrics())(scope, receive, receive)

    async def receive(message: object = None) -> Message:
        raise AssertionError

    asyncio.run(ask("/"))
    with pytest.raises(RuntimeError):
        asyncio.run(ask("/broken"))
    assert [request.is_over for request in seen if request] == [True, False]


def test_the_pages_are_one_route(client: TestClient) -> None:
    assert client.get("/").status_code == client.get("/docs").status_code == 200
    assert figures(client)['srcid_requests_total{method="GET",route="page",status="200"}'] == 2


def test_the_index_and_what_runs_are_reported(client: TestClient) -> None:
    client.post("/items", json={"id": "a", "text": "a dog"})
    seen = figures(client)
    assert seen["srcid_items"] == 1
    fingerprint = client.get("/model").json()["fingerprint"]
    assert any(f'fingerprint="{fingerprint}"' in name for name in seen)


def test_each_app_has_figures_of_its_own(settings: Settings) -> None:
    first, second = create_app(settings), create_app(settings)
    with TestClient(first) as client:
        client.get("/items")
        assert b"srcid_requests_total{" in first.state.metrics.render()
        assert b"srcid_requests_total{" not in second.state.metrics.render()
