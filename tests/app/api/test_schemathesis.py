"""Every call of the schema, with what it allows and with what it does not: never a 5xx."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck
from schemathesis import GenerationMode
from schemathesis.core.transport import Response
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings


def may_be_refused(call: dict[str, Any]) -> bool:
    """Tell whether some request of a call is not as its schema says: any text is a string."""
    schemas = [parameter["schema"] for parameter in call.get("parameters", [])]
    is_free = [own.get("type") == "string" and own.keys() <= {"type", "title"} for own in schemas]
    return "requestBody" in call or not all(is_free)


MODES = {"allowed": GenerationMode.POSITIVE, "refused": GenerationMode.NEGATIVE}
CALLS = [
    (path, method, mode)
    for path, methods in create_app(Settings()).openapi()["paths"].items()
    for method, call in methods.items()
    for mode in MODES
    if mode == "allowed" or may_be_refused(call)
]


@pytest.fixture(scope="module")
def app(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("schemathesis")
    (folder / "root").mkdir()
    settings = Settings(
        checkpoint=str(tiny_checkpoint),
        data_dir=folder / "data",
        device="cpu",
        max_decodes=1,
        keep_media=True,
        media_root=folder / "root",
        max_upload_bytes=2**20,
    )
    with TestClient(create_app(settings), raise_server_exceptions=False) as opened:
        opened.post("/items", json={"id": "0", "text": "a dog barks"})
        yield opened


def run(client: TestClient, path: str, method: str, mode: str, *, examples: int) -> None:
    """Send generated requests of one call, and hold each answer to the schema."""
    schema = schemathesis.openapi.from_dict(client.app.openapi())
    operation = schema[path][method]
    strategy = operation.as_strategy(generation_mode=MODES[mode])

    @hypothesis.given(case=strategy)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    def check(case: Any) -> None:
        sent = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
        answer = client.request(
            sent.method or "", sent.url or "", headers=dict(sent.headers), content=sent.body or b""
        )
        said = f"{sent.method} {sent.url} {dict(sent.headers)} {sent.body!r:.500}: {answer.text}"
        assert answer.status_code < 500, said
        documented = operation.definition.raw["responses"]
        if str(answer.status_code) in documented and answer.status_code < 300:
            operation.validate_response(Response.from_any(answer))
        if answer.status_code >= 400 and answer.status_code != 416:
            assert answer.headers["content-type"] == "application/problem+json", said
            assert answer.json()["detail"], said

    check()


@pytest.mark.parametrize(("path", "method", "mode"), CALLS)
def test_no_request_makes_the_service_fail(
    app: TestClient, path: str, method: str, mode: str
) -> None:
    run(app, path, method, mode, examples=15)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method", "mode"), CALLS)
def test_no_request_of_many_makes_the_service_fail(
    app: TestClient, path: str, method: str, mode: str
) -> None:
    run(app, path, method, mode, examples=500)
