"""The real server and what is made to break it: each is refused, and nothing else notices."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from model.errors import MediaError
from model.media import read_clip
from tests.app.hostile import bodies, features, pictures, scripts, streams
from tests.media_maker import colours, make_video, tone
from tests.running_server import (
    WAIT,
    Server,
    children_of,
    peak_bytes,
    processor_seconds,
    serving,
)

MEDIA = pictures.refused() | streams.refused() | scripts.refused()
DOUBTFUL = pictures.tolerated() | streams.tolerated() | streams.cut()
MAX_WORKER_SECONDS = 2.0  # of processor time; the slowest here took 0.7
MAX_WORKER_BYTES = 2**30  # a worker starts with 60 MB; the largest here took 528 MB


@pytest.fixture(scope="module")
def server(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("hostile")
    with serving(tiny_checkpoint, data, max_decodes=1) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.address, timeout=WAIT) as opened:
        yield opened


def check_refused(answer: httpx2.Response) -> None:
    assert 400 <= answer.status_code < 500, answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) >= {"type", "title", "status", "detail"}
    assert len(answer.content) < 4000  # what was sent is not sent back


@contextmanager
def in_seconds(server: Server) -> Iterator[None]:
    """See that decoding does not take long: by the worker's own clock, however busy others are."""
    (worker,) = children_of(server.process.pid)
    before = processor_seconds(worker)
    yield
    if children_of(server.process.pid) == [worker]:  # else it was killed, for one of its limits
        assert processor_seconds(worker) - before < MAX_WORKER_SECONDS


def test_there_are_more_than_sixty_of_them() -> None:
    assert len(MEDIA | DOUBTFUL) >= 60


@pytest.mark.parametrize("name", MEDIA)
def test_a_hostile_file_is_refused(server: Server, client: httpx2.Client, name: str) -> None:
    with in_seconds(server):
        check_refused(client.post("/encode", files={"file": MEDIA[name]}))


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_damaged_file_is_refused_or_taken_for_what_is_left(
    server: Server, client: httpx2.Client, name: str
) -> None:
    with in_seconds(server):
        answer = client.post("/encode", files={"file": DOUBTFUL[name]})
    if answer.status_code != 200:
        check_refused(answer)


@pytest.mark.parametrize("name", features.refused())
def test_hostile_features_are_refused(client: httpx2.Client, name: str) -> None:
    files = {"file": features.refused()[name]}
    check_refused(client.post("/encode", files=files, data={"modality": "audio"}))


@pytest.mark.parametrize("name", bodies.refused())
def test_a_hostile_request_is_refused(client: httpx2.Client, name: str) -> None:
    body = bodies.refused()[name]
    headers = {"Content-Type": body.content_type}
    check_refused(client.post(body.path, content=body.content, headers=headers))


def test_afterwards_a_hundred_good_requests_succeed_and_memory_was_capped(
    server: Server, client: httpx2.Client
) -> None:
    """Runs after the others, on their server."""
    clip = make_video(colours(1), audio=tone(1))
    answers = [client.post("/encode", files={"file": clip}) for _ in range(100)]
    assert [answer.status_code for answer in answers] == [200] * 100
    assert len({answer.text for answer in answers}) == 1
    assert client.get("/readyz").status_code == 200
    assert server.process.poll() is None
    for pid in children_of(server.process.pid):
        assert peak_bytes(pid) < MAX_WORKER_BYTES
    assert "Traceback" not in server.log.read_text()


def test_packets_that_never_decode_are_given_up_early() -> None:
    # A thousand, and those that waited for one that decodes.
    with pytest.raises(MediaError, match=r"damaged: [12]\d{3} packets"):
        read_clip(MEDIA["flv of 10^6 pictures"])
