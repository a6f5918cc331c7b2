"""No URL is ever fetched: not one given in a field, and not one that media name."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from model.errors import MediaError
from model.media import read_clip
from tests.app.hostile.scripts import naming
from tests.media_maker import colours, make_video, tone
from tests.running_server import WAIT, serving

SCHEMES = ("http://{}/a.mp4", "tcp://{}", "rtmp://{}/a", "hls+http://{}/a.m3u8")
FIELDS: list[tuple[str, dict[str, object]]] = [
    ("/encode", {"media": "URL"}),
    ("/encode", {"text": "URL"}),
    ("/encode", {"url": "URL"}),
    ("/encode/batch", {"items": [{"media": "URL"}, {"text": "URL"}]}),
    ("/items", {"id": "URL", "media": "URL"}),
    ("/items", {"id": "a", "text": "URL", "metadata": {"source": "URL"}}),
    ("/search", {"media": "URL"}),
    ("/search", {"item": "URL"}),
    ("/search", {"text": "a dog", "plus": [{"media": "URL"}], "exclude": ["URL"]}),
    ("/compare", {"a": {"media": "URL"}, "b": "URL"}),
    ("/v1/embeddings", {"input": ["URL"], "model": "URL"}),
    ("/jobs/index", {"folder": "URL"}),
    ("/jobs/index", {"manifest": "URL"}),
]


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    """A socket that must never be connected to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def filled(value: object, url: str) -> object:
    """Return ``value`` with ``url`` in the place of each "URL"."""
    if isinstance(value, dict):
        return {name: filled(part, url) for name, part in value.items()}
    if isinstance(value, list):
        return [filled(part, url) for part in value]
    return url if value == "URL" else value


def test_no_url_is_fetched(trap: socket.socket, tiny_checkpoint: Path, tmp_path: Path) -> None:
    host, port = trap.getsockname()
    (tmp_path / "root").mkdir()
    settings = {"media_root": tmp_path / "root", "max_decodes": 1}
    with (
        serving(tiny_checkpoint, tmp_path / "data", **settings) as server,
        httpx2.Client(base_url=server.address, timeout=WAIT) as client,
    ):
        for scheme in SCHEMES:
            url = scheme.format(f"{host}:{port}")
            for path, fields in FIELDS:
                assert client.post(path, json=filled(fields, url)).status_code < 500, (path, fields)
            for name, data in naming(url).items():
                answer = client.post("/encode", files={"file": (url, data)})
                assert answer.status_code == 422, (name, answer.text)
                check_untouched(trap, name)
    check_untouched(trap, "afterwards")


def test_a_script_that_names_a_file_beside_it_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg has a demuxer for such scripts, which opens what they name."""
    monkeypatch.chdir(tmp_path)
    data = make_video(colours(1), audio=tone(1))
    Path("secret.mp4").write_bytes(data)
    assert read_clip(data).frames is not None
    for name, script in naming("secret.mp4").items():
        with pytest.raises(MediaError):
            print(name, read_clip(script))
        with pytest.raises(MediaError):
            print(name, read_clip(_written(script)))


def _written(data: bytes) -> Path:
    path = Path("upload")
    path.write_bytes(data)
    return path


def check_untouched(trap: socket.socket, what: str) -> None:
    try:
        trap.accept()
    except BlockingIOError:
        return
    raise AssertionError(f"the service connected: {what}")
