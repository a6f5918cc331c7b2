"""Pages of other origins, and a proxy that strips a prefix off."""

from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings

ORIGIN = {"origin": "https://page.example"}
PREFLIGHT = {**ORIGIN, "access-control-request-method": "POST"}


def test_pages_of_the_named_origins_may_call(settings: Settings) -> None:
    named = settings.model_copy(update={"cors_origins": ("https://page.example",)})
    with TestClient(create_app(named)) as client:
        answer = client.get("/model", headers=ORIGIN)
        assert answer.headers["access-control-allow-origin"] == ORIGIN["origin"]
        asked = client.options("/search", headers=PREFLIGHT)
        assert asked.status_code == 200
        assert "POST" in asked.headers["access-control-allow-methods"]
        other = client.get("/model", headers={"origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers


def test_by_default_no_other_origin_may(client: TestClient) -> None:
    assert "access-control-allow-origin" not in client.get("/model", headers=ORIGIN).headers


def test_a_prefix_of_a_proxy_stands_in_what_is_answered(settings: Settings) -> None:
    with TestClient(create_app(settings), root_path="/srcid") as client:
        added = client.post("/items", json={"id": "a b", "text": "a dog"})
        assert added.status_code == 201
        assert added.headers["location"] == "/srcid/items/a%20b"
        assert client.get("/openapi.json").json()["servers"] == [{"url": "/srcid"}]
