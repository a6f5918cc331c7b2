"""The real app on the tiny checkpoint, and real media to send to it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.media_maker import colours, make_picture, make_sound, make_video, tone


@pytest.fixture(scope="session", autouse=True)
def _own_name() -> Iterator[None]:
    """Starlette's client calls the app by a name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRCID_ALLOWED_HOSTS", '["testserver"]')
        yield


@pytest.fixture
def settings(tiny_checkpoint: Path, tmp_path: Path) -> Settings:
    return Settings(
        checkpoint=str(tiny_checkpoint),
        data_dir=tmp_path / "data",
        device="cpu",
        max_upload_bytes=2**20,
        max_decodes=1,  # a process each, started anew for each app
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings), raise_server_exceptions=False) as opened:
        yield opened


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
