"""What both clients send again, and after what pauses; the answers come from a script."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx2
import pytest

from app.client import Client, RetryPolicy, Unreachable
from app.client.retry import Attempts
from app.errors import (
    ItemExists,
    NotFound,
    Overloaded,
    RateLimited,
    ServiceError,
    Unauthorized,
)

Step = httpx2.Response | Exception
HEALTH = {"status": "ready"}
MODEL = {
    "checkpoint": "compact",
    "fingerprint": "f",
    "modalities": {},
    "code_layers": [1],
    "codebook_sizes": [4],
    "is_calibrated": False,
    "keeps_media": False,
    "takes_jobs": False,
    "device": "cpu",
    "num_items": 0,
    "limits": {},
}
ITEM = {
    "id": "a",
    "fingerprint": "f",
    "code_layers": [1],
    "duration_seconds": None,
    "streams": {},
    "text": "a dog",
    "sha256": "5b9f2bd7c9ee4c0ee13fc7d4c9bb5c1a5f1c9cf1d9b1c6bd3cd3ddb1aa0d2b74",
    "metadata": {},
    "has_media": False,
    "has_thumbnail": False,
}


def ok(body: object, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, json=body)


def refused(kind: str, status: int, wait: str | None = None) -> httpx2.Response:
    problem = {"type": f"urn:srcid:{kind}", "title": kind, "status": status, "detail": "no"}
    return httpx2.Response(status, json=problem, headers={"Retry-After": wait} if wait else {})


class Script:
    """Answers requests one after another, and remembers them and the pauses between."""

    def __init__(
        self,
        *steps: Step,
        client_class: type[Client],
        opened: ExitStack,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.steps = list(steps)
        self.requests: list[httpx2.Request] = []
        self.pauses: list[float] = []
        self._client_class, self._opened = client_class, opened

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        monkeypatch.setattr("app.client.synchronous.time.sleep", self.pauses.append)
        monkeypatch.setattr("app.client.asynchronous.asyncio.sleep", sleep)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def client(self, **options: object) -> Client:
        policy = RetryPolicy.model_validate({"retries": 3, **options})
        client = self._client_class(retry=policy, transport=httpx2.MockTransport(self))
        return self._opened.enter_context(client)


class BreaksOff(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body whose connection breaks in the middle."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"the wh"
        raise httpx2.ReadError("reset")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self:
            yield part


@pytest.fixture
def script(
    client_class: type[Client], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Script]]:
    with ExitStack() as opened:
        yield partial(Script, client_class=client_class, opened=opened, monkeypatch=monkeypatch)


Scripts = Callable[..., Script]


def test_a_pause_that_is_asked_for_is_kept(script: Scripts) -> None:
    played = script(refused("rate-limited", 429, "7"), refused("overloaded", 503, "2"), ok(MODEL))
    assert played.client(first_seconds=0).model().checkpoint == "compact"
    assert played.pauses == [7, 2]


def test_pauses_grow_and_differ_from_client_to_client(script: Scripts) -> None:
    longest = [0.0] * 4
    for _ in range(200):
        played = script(*[refused("overloaded", 503)] * 4, ok(MODEL))
        played.client(retries=4, first_seconds=1, most_seconds=5).model()
        longest = [max(pair) for pair in zip(longest, played.pauses, strict=True)]
        assert len(set(played.pauses)) == 4
    assert [round(pause) for pause in longest] == [1, 2, 4, 5]
    assert max(longest) <= 5


def test_after_so_many_times_the_error_is_told(script: Scripts) -> None:
    played = script(*[refused("rate-limited", 429)] * 3)
    with pytest.raises(RateLimited):
        played.client(retries=2).model()
    assert len(played.requests) == 3


def test_a_service_that_wants_more_patience_than_there_is_is_not_waited_for(
    script: Scripts,
) -> None:
    played = script(refused("overloaded", 503, "31"))
    with pytest.raises(Overloaded) as error:
        played.client().model()
    assert error.value.retry_after_seconds == 31
    assert played.pauses == []


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 500])
def test_what_waiting_does_not_help_is_not_sent_again(script: Scripts, status: int) -> None:
    played = script(refused("anything", status))
    with pytest.raises(ServiceError):
        played.client().model()
    assert len(played.requests) == 1


def test_a_broken_connection_is_tried_again_where_that_does_no_harm(script: Scripts) -> None:
    played = script(httpx2.ReadError("reset"), httpx2.ConnectError("refused"), ok(MODEL))
    played.client().model()
    assert len(played.requests) == 3
    job = script(httpx2.ReadError("reset"))
    with pytest.raises(Unreachable, match="reset"):
        job.client().start_job("farm")
    assert len(job.requests) == 1


def test_a_job_is_started_again_where_it_was_certainly_not_started(script: Scripts) -> None:
    job = {
        "id": "7",
        "state": "queued",
        "request": {"folder": "farm"},
        "created": "2026-01-01T00:00:00Z",
    }
    played = script(httpx2.ConnectError("refused"), refused("store-unavailable", 503), ok(job, 202))
    assert played.client().start_job("farm").id == "7"


def test_a_job_may_be_cancelled_twice(script: Scripts) -> None:
    job = {"id": "7", "state": "cancelled", "request": {}, "created": "2026-01-01T00:00:00Z"}
    played = script(httpx2.ReadError("reset"), ok(job))
    assert played.client().cancel_job("7").state == "cancelled"
    assert [(own.method, own.url.path) for own in played.requests] == [("DELETE", "/jobs/7")] * 2


def test_an_item_that_a_lost_answer_was_about_is_found(script: Scripts) -> None:
    item = {**ITEM, "sha256": _sha256("a dog")}
    played = script(httpx2.ReadError("reset"), refused("item-exists", 409), ok(item))
    assert played.client().add("a", "a dog").id == "a"
    assert [request.method for request in played.requests] == ["POST", "POST", "GET"]


@pytest.mark.parametrize(
    "kept", [{"sha256": "00"}, {"sha256": None, "metadata": {"by": "another"}}]
)
def test_another_item_of_that_id_is_none_of_ours(script: Scripts, kept: dict[str, object]) -> None:
    item = {**ITEM, **kept, "sha256": kept["sha256"] or _sha256("a dog")}
    played = script(httpx2.ReadError("reset"), refused("item-exists", 409), ok(item))
    with pytest.raises(ItemExists):
        played.client().add("a", "a dog")


def test_an_id_that_is_taken_is_told_where_no_answer_was_lost(script: Scripts) -> None:
    for before in ([], [httpx2.ConnectError("refused")], [refused("overloaded", 503)]):
        played = script(*before, refused("item-exists", 409))
        with pytest.raises(ItemExists):
            played.client().add("a", "a dog")


def test_a_body_is_whole_each_time_it_is_sent(script: Scripts, clip_file: Path) -> None:
    encoded = {"fingerprint": "f", "code_layers": [1], "duration_seconds": 1.0, "streams": {}}
    played = script(refused("overloaded", 503), httpx2.ReadError("reset"), ok(encoded))
    played.client().encode(clip_file)
    assert all(clip_file.read_bytes() in request.content for request in played.requests)
    assert len(played.requests) == 3


def test_a_stranger_in_its_place_is_named(script: Scripts) -> None:
    played = script(httpx2.Response(502, text="<h1>Bad gateway</h1>"))
    with pytest.raises(Unreachable, match="answered 502, not by SRCID, with '<h1>Bad"):
        played.client().model()


def test_readiness_is_asked_once(script: Scripts) -> None:
    assert script(ok(HEALTH)).client().is_ready()
    played = script(refused("store-unavailable", 503, "1"))
    assert not played.client().is_ready()
    assert len(played.requests) == 1
    with pytest.raises(Unreachable):
        script(httpx2.ConnectError("refused")).client().is_ready()
    with pytest.raises(Unauthorized):  # which is no answer to the question
        script(refused("unauthorized", 401)).client().is_ready()


def event(state: str) -> str:
    job = {"id": "7", "state": state, "request": {}, "created": "2026-01-01T00:00:00Z"}
    return f": heartbeat\nevent: job\ndata: {json.dumps(job)}\n\n"


def test_a_job_is_followed_across_a_broken_connection(script: Scripts) -> None:
    played = script(
        httpx2.Response(200, text=event("queued") + event("running")),
        httpx2.ReadError("reset"),
        httpx2.Response(200, text=event("running") + event("finished") + event("running")),
    )
    states = [job.state for job in played.client().watch_job("7")]
    assert states == ["queued", "running", "running", "finished"]


def test_a_job_that_goes_on_is_followed_across_any_number_of_breaks(script: Scripts) -> None:
    breaks = [httpx2.Response(200, text=event("running")) for _ in range(5)]
    played = script(*breaks, httpx2.Response(200, text=event("finished")))
    assert len(list(played.client(retries=1).watch_job("7"))) == 6


def test_a_job_is_followed_once_there_is_room_again(script: Scripts) -> None:
    played = script(refused("overloaded", 503, "3"), httpx2.Response(200, text=event("finished")))
    assert [job.state for job in played.client(first_seconds=0).watch_job("7")] == ["finished"]
    assert played.pauses == [3]
    unknown = script(refused("not-found", 404))
    with pytest.raises(NotFound):
        list(unknown.client().watch_job("8"))


def test_a_download_that_breaks_off_begins_anew(script: Scripts, tmp_path: Path) -> None:
    played = script(
        refused("overloaded", 503, "3"),
        httpx2.Response(200, stream=BreaksOff()),
        httpx2.Response(200, content=b"the whole"),
    )
    out = tmp_path / "out"
    played.client(first_seconds=0).download("a", out)
    assert out.read_bytes() == b"the whole"
    assert played.pauses == [3, 0]


def test_a_download_that_never_arrives_whole_leaves_nothing(
    script: Scripts, tmp_path: Path
) -> None:
    played = script(*[httpx2.Response(200, stream=BreaksOff()) for _ in range(2)])
    with pytest.raises(Unreachable):
        played.client(retries=1).download("a", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_whether_an_answer_was_lost_is_known() -> None:
    request = httpx2.Request("GET", "http://a/")
    attempts = Attempts(RetryPolicy(), is_repeatable=True)
    attempts.after_error(httpx2.ConnectTimeout("late", request=request))
    assert not attempts.is_uncertain
    attempts.after_error(httpx2.ReadTimeout("late", request=request))
    assert attempts.is_uncertain


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
