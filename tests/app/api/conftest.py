"""One app for what is refused, with one item that must not be harmed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Iterator[TestClient]:
    """The app and its item, `kept`."""
    settings = Settings(
        checkpoint=str(tiny_checkpoint),
        data_dir=tmp_path_factory.mktemp("data"),
        device="cpu",
        max_upload_bytes=2**20,
    )
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        client.post("/items", json={"id": "kept", "text": "a dog barks"})
        yield client


@pytest.fixture
def refused(kept: TestClient) -> Callable[..., None]:
    """Send a request, and see it refused by a problem document, with nothing lost."""

    def refused(
        method: str, path: str, sent: dict[str, Any], status: int, kind: str, part: str
    ) -> None:
        before = kept.get("/items").json()

        answer = kept.request(method, path, **sent)

        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["type"] == f"urn:srcid:{kind}"
        assert problem["status"] == status
        assert problem["title"]
        assert part in problem["detail"]
        assert len(problem["detail"]) > 15
        assert kept.get("/items").json() == before

    return refused
