"""API keys over HTTP: who gets in, who does not, and what they are told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.api.middleware.auth import READING_POSTS, is_loopback, scope_of
from app.auth.keys import KeyFile, Scope
from app.main import create_app
from app.settings import Settings
from model.errors import ConfigError


@pytest.fixture
def keys(settings: Settings) -> KeyFile:
    return KeyFile(settings.data_dir)


@contextmanager
def serving(settings: Settings, **changed: object) -> Iterator[TestClient]:
    app = create_app(settings.model_copy(update=changed))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_without_keys_this_machine_needs_none(settings: Settings) -> None:
    with serving(settings) as client:
        assert client.get("/items").status_code == 200
        assert client.get("/items", headers=bearer("anything")).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
def test_a_public_address_is_not_served_without_keys(settings: Settings, host: str) -> None:
    with pytest.raises(ConfigError, match=r"srcid keys add .*SRCID_ALLOW_ANONYMOUS=true"):
        create_app(settings.model_copy(update={"host": host}))


def test_a_public_address_is_not_served_with_its_last_key_revoked(
    settings: Settings, keys: KeyFile
) -> None:
    keys.add("web", Scope.READ)
    keys.revoke("web")
    with pytest.raises(ConfigError):
        create_app(settings.model_copy(update={"host": "0.0.0.0"}))


def test_everybody_is_let_in_where_that_is_said(settings: Settings) -> None:
    with serving(settings, host="0.0.0.0", allow_anonymous=True) as client:
        assert client.get("/items").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        bearer,
        lambda key: {"authorization": f"bearer  {key}"},
        lambda key: {"X-API-Key": key},
        lambda key: {"Cookie": f"other=1; srcid_key={key}"},
    ],
)
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_where_keys_exist_a_key_lets_in_and_nothing_else_does(
    settings: Settings, keys: KeyFile, host: str, headers: Callable[[str], dict[str, str]]
) -> None:
    key = keys.add("web", Scope.READ)
    with serving(settings, host=host) as client:
        assert client.get("/items", headers=headers(key)).status_code == 200
        for wrong in ({}, headers(key[:-1]), headers(""), headers("ü"), {"Authorization": key}):
            encoded = {name: value.encode() for name, value in wrong.items()}
            answer = client.get("/items", headers=encoded)
            assert answer.status_code == 401, wrong
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.json()["type"] == "urn:srcid:unauthorized"
            assert key not in answer.text


def test_a_key_made_or_revoked_counts_from_the_next_request_on(
    settings: Settings, keys: KeyFile
) -> None:
    with serving(settings) as client:
        assert client.get("/items").status_code == 200
        key = keys.add("web", Scope.READ)
        assert client.get("/items").status_code == 401
        assert client.get("/items", headers=bearer(key)).status_code == 200
        keys.revoke("web")
        assert client.get("/items", headers=bearer(key)).status_code == 401
        assert client.get("/items").status_code == 401  # nor does it open again


def test_probes_and_documentation_are_open_and_nothing_else_is(
    settings: Settings, keys: KeyFile
) -> None:
    keys.add("web", Scope.READ)
    with serving(settings) as client:
        for path in ("/livez", "/readyz", "/docs", "/redoc", "/openapi.json"):
            assert client.get(path).status_code == 200
        for path in ("/metrics", "/model", "/nothing", "/livez/x", "/docs/x"):
            assert client.get(path).status_code == 401, path


def test_a_scope_allows_what_it_says(settings: Settings, keys: KeyFile) -> None:
    made = {scope: bearer(keys.add(scope, scope)) for scope in Scope}
    sentence = {"text": "a dog barks"}
    with serving(settings) as client:
        for scope, may_write in ((Scope.READ, False), (Scope.WRITE, True), (Scope.ADMIN, True)):
            own = made[scope]
            assert client.post("/encode", json=sentence, headers=own).status_code == 200
            assert client.post("/search", json=sentence, headers=own).status_code == 200
            added = client.post("/items", json={"id": scope, **sentence}, headers=own)
            assert added.status_code == (201 if may_write else 403)
            gone = client.delete(f"/items/{scope}", headers=own)
            assert gone.status_code == (204 if may_write else 403)
        refused = client.post("/items", json={"id": "a", **sentence}, headers=made[Scope.READ])
        assert refused.json()["type"] == "urn:srcid:forbidden"
        assert "needs write" in refused.json()["detail"]


def test_jobs_need_an_admin_and_what_is_not_known_here_counts_as_writing() -> None:
    assert scope_of("GET", "/jobs") is Scope.READ
    assert scope_of("POST", "/jobs/index") is Scope.ADMIN
    assert scope_of("DELETE", "/jobs/7") is Scope.ADMIN
    assert scope_of("POST", "/jobsworth") is Scope.WRITE
    assert scope_of("POST", "/a-call-of-next-year") is Scope.WRITE
    assert scope_of("PROPFIND", "/items") is Scope.WRITE


def test_the_paths_that_only_read_are_calls_that_exist(settings: Settings) -> None:
    paths = create_app(settings).openapi()["paths"]
    posts = {path for path, calls in paths.items() if "post" in calls}
    assert posts - {"/items", "/jobs/index"} == READING_POSTS


def test_a_key_that_asks_too_often_waits_and_others_do_not(
    settings: Settings, keys: KeyFile
) -> None:
    busy, other = (bearer(keys.add(name, Scope.READ)) for name in ("busy", "other"))
    with serving(settings, max_requests_per_minute=2) as client:
        statuses = [client.get("/items", headers=busy).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        refused = client.get("/items", headers=busy)
        assert 1 <= int(refused.headers["Retry-After"]) <= 30
        assert refused.json()["type"] == "urn:srcid:rate-limited"
        assert client.get("/items", headers=other).status_code == 200


def test_a_damaged_file_of_keys_lets_nobody_in(settings: Settings, keys: KeyFile) -> None:
    key = keys.add("web", Scope.READ)
    with serving(settings) as client:
        keys.path.write_text("{")
        answer = client.get("/items", headers=bearer(key))
        assert answer.status_code == 503
        assert client.get("/items").status_code == 401


def test_a_path_prefix_of_a_proxy_changes_nothing(settings: Settings, keys: KeyFile) -> None:
    key = keys.add("web", Scope.READ)
    inner = create_app(settings)
    outer = FastAPI(lifespan=inner.router.lifespan_context)
    outer.mount("/srcid", inner)
    outer.state = inner.state
    with TestClient(outer) as client:
        assert client.get("/srcid/livez").status_code == 200
        assert client.get("/srcid/items").status_code == 401
        encoded = client.post("/srcid/encode", json={"text": "a dog"}, headers=bearer(key))
        assert encoded.status_code == 200


def test_pages_of_other_sites_cannot_use_a_service_that_needs_no_key(
    settings: Settings, keys: KeyFile
) -> None:
    sentence = {"id": "a", "text": "a dog"}
    allowed = "https://example.org"
    with serving(settings, cors_origins=(allowed,)) as client:
        for origin in ("https://evil.example", "null", "http://testserver.evil.example", ""):
            answer = client.post("/items", json=sentence, headers={"Origin": origin})
            assert answer.status_code == (403 if origin else 201), origin
            client.delete("/items/a")
        for origin in ("http://testserver", allowed):
            assert client.post("/encode", json={"text": "a"}, headers={"Origin": origin}).is_success
        key = keys.add("web", Scope.READ)
        elsewhere = {"Origin": "https://other.example", **bearer(key)}
        assert client.post("/encode", json={"text": "a"}, headers=elsewhere).is_success


def test_a_prefix_that_begins_like_a_call_changes_no_scope(
    settings: Settings, keys: KeyFile
) -> None:
    writer = bearer(keys.add("writer", Scope.WRITE))
    with TestClient(create_app(settings), root_path="/j") as client:
        for path in ("/jobs/index", "/j/jobs/index"):
            assert client.post(path, json={}, headers=writer).status_code == 403


def test_loopback_is_told_from_the_rest() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "localhost.example.org"]))


def test_the_schema_tells_of_each_call_that_needs_a_key_how_it_is_refused(
    settings: Settings,
) -> None:
    paths = create_app(settings).openapi()["paths"]
    refusals = {
        f"{method} {path}": {"401", "403", "429"} & set(call["responses"])
        for path, calls in paths.items()
        for method, call in calls.items()
    }
    is_open = {"get /livez", "get /readyz"}
    assert all(refusals[call] == set() for call in is_open)
    assert all(told == {"401", "403", "429"} for c, told in refusals.items() if c not in is_open)
