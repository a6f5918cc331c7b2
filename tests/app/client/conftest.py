"""The real service on a real socket, in a thread of this process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from app.client import Client, RetryPolicy
from app.main import create_app
from app.settings import Settings
from tests.app.client.blocking import Blocking

IMPATIENT = RetryPolicy(first_seconds=0.001, most_seconds=5)


@contextmanager
def listening(settings: Settings) -> Iterator[str]:
    """Serve until the end of the block; yield the address."""
    config = uvicorn.Config(create_app(settings), log_config=None, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    with listening(settings) as url:
        yield url


@pytest.fixture(params=[Client, Blocking], ids=["plain", "asyncio"])
def client_class(request: pytest.FixtureRequest) -> type[Client]:
    """Each of the two clients: a test that takes it says what both promise."""
    return request.param


@pytest.fixture
def service(address: str, client_class: type[Client]) -> Iterator[Client]:
    with client_class(address, retry=IMPATIENT) as client:
        yield client


@pytest.fixture
def clip_file(tmp_path: Path, clip: bytes) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip)
    return path
