"""Pages of other origins, names that others gave this machine, and a proxy's prefix."""

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from app.auth.keys import KeyFile, Scope
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


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000"])
def test_this_machine_is_called_by_its_address_or_localhost(settings: Settings, host: str) -> None:
    own = settings.model_copy(update={"allowed_hosts": ()})
    with TestClient(create_app(own)) as client:
        assert client.get("/items", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example:8000", "localhost.evil.example", "", "127.0.0.1.e"])
def test_a_name_that_was_made_to_point_here_is_refused(settings: Settings, host: str) -> None:
    own = settings.model_copy(update={"allowed_hosts": ()})
    rebound = {"host": host, "origin": f"http://{host}"}
    with TestClient(create_app(own)) as client:
        for call in (client.get, client.post):
            answer = call("/items", headers=rebound)
            assert answer.status_code == 403
            assert "SRCID_ALLOWED_HOSTS" in answer.json()["detail"]
        with (
            pytest.raises(WebSocketDenialResponse),
            client.websocket_connect("/live", headers=rebound),
        ):
            pass


def test_names_can_be_allowed_and_a_key_makes_any_name_good(settings: Settings) -> None:
    named = settings.model_copy(update={"allowed_hosts": ("srcid.lan",)})
    with TestClient(create_app(named)) as client:
        assert client.get("/items", headers={"host": "srcid.lan:8000"}).status_code == 200
        assert client.get("/items", headers={"host": "other.lan"}).status_code == 403
        key = KeyFile(settings.data_dir).add("web", Scope.READ)
        own = {"host": "other.lan", "X-API-Key": key}
        assert client.get("/items", headers=own).status_code == 200


def test_an_address_that_is_open_to_all_goes_by_any_name(settings: Settings) -> None:
    changed = {"host": "0.0.0.0", "allow_anonymous": True, "allowed_hosts": ()}
    with TestClient(create_app(settings.model_copy(update=changed))) as client:
        assert client.get("/items", headers={"host": "srcid-1:8000"}).status_code == 200
