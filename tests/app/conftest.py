"""The real app on the tiny checkpoint, and real media to send to it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from app.store.sqlite import schema
from tests.media_maker import colours, make_picture, make_sound, make_video, tone


@pytest.fixture(scope="session", autouse=True)
def _own_name() -> Iterator[None]:
    """Starlette's client calls the app by a name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRCID_ALLOWED_HOSTS", '["testserver"]')
        yield


def settings_of(checkpoint: Path, folder: Path) -> Settings:
    return Settings(
        checkpoint=str(checkpoint),
        data_dir=folder / "data",
        device="cpu",
        max_upload_bytes=2**20,
        max_decodes=1,  # a process each, started anew for each app
    )


@pytest.fixture
def settings(tiny_checkpoint: Path, tmp_path: Path) -> Settings:
    return settings_of(tiny_checkpoint, tmp_path)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_settings(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_of(tiny_checkpoint, tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def shared_client(shared_settings: Settings) -> Iterator[TestClient]:
    """One app for the tests of a file that change nothing: to start one takes half a second."""
    with TestClient(create_app(shared_settings), raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="session", autouse=True)
def _small_log() -> Iterator[None]:
    """Hundreds of stores are opened here, and each would first write a log of 16 MB."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "LOG_BYTES", 2**16)
        yield


@pytest.fixture(scope="session")
def sound() -> bytes:
    """A sound of 2.5 seconds."""
    return make_sound(tone(2.5, rate=16_000), rate=16_000)


@pytest.fixture(scope="session")
def picture() -> bytes:
    return make_picture(np.full((40, 60, 3), 90, np.uint8))


@pytest.fixture(scope="session")
def clip() -> bytes:
    """Three seconds of picture and sound."""
    return make_video(colours(3), audio=tone(3))
