"""WebSocket /live: sound in as it is heard, a pair of codes a second out."""

from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from app.auth.keys import KeyFile, Scope
from app.main import create_app
from app.settings import Settings
from tests.media_maker import make_sound

RATE = 16_000


def noise(seconds: float) -> "np.ndarray[Any, np.dtype[np.int16]]":
    rng = np.random.default_rng(0)
    loudness = np.repeat(rng.uniform(0, 8000, round(seconds * 8)), RATE // 8)
    return (rng.normal(0, 1, len(loudness)) * loudness).clip(-(2**15), 2**15 - 1).astype(np.int16)


def rest_of(socket: WebSocketTestSession) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    try:
        while True:
            messages.append(socket.receive_json())
    except WebSocketDisconnect as closed:
        return [*messages, {"code": closed.code}]


def whole(client: TestClient, samples: "np.ndarray[Any, Any]") -> list[list[int]]:
    sound = make_sound((samples / 2**15).astype(np.float32), rate=RATE)
    answer = client.post("/encode", files={"file": sound})
    codes: list[list[int]] = answer.json()["streams"]["audio"]["codes"]
    return codes


@pytest.mark.parametrize("seconds", [0.5, 3.0, 10.0, 10.03, 23.5])
def test_the_pieces_are_the_codes_of_the_whole_sound(
    shared_client: TestClient, seconds: float
) -> None:
    samples = noise(seconds)[: round(seconds * RATE)]
    with shared_client.websocket_connect("/live") as socket:
        start = socket.receive_json()
        assert start["kind"] == "start"
        assert (start["sample_rate"], start["piece_seconds"]) == (RATE, 10)
        for first in range(0, len(samples), 5001):
            socket.send_bytes(samples[first : first + 5001].tobytes())
        socket.send_text("end")
        *messages, closed = rest_of(socket)
    assert closed == {"code": 1000}
    pieces = [message for message in messages if message["kind"] == "piece"]
    assert [piece["first_second"] for piece in pieces] == [10 * n for n in range(len(pieces))]
    codes = np.concatenate([piece["codes"] for piece in pieces], axis=1).tolist()
    assert codes == whole(shared_client, samples)
    told = [message["second"] for message in messages if message["kind"] == "second"]
    assert told == list(range(len(codes[0])))


def test_a_second_is_told_as_soon_as_it_has_passed(shared_client: TestClient) -> None:
    samples = noise(2)
    with shared_client.websocket_connect("/live") as socket:
        socket.receive_json()
        for second in range(2):
            part = samples[second * RATE : (second + 1) * RATE].tobytes()
            socket.send_bytes(part[:999])  # half a sample is kept for the next message
            socket.send_bytes(part[999:])
            message = socket.receive_json()
            assert (message["kind"], message["second"]) == ("second", second)
            heard = whole(shared_client, samples[: (second + 1) * RATE])
            assert message["codes"] == [row[-1] for row in heard]


def test_sound_is_taken_at_the_rate_that_the_backbone_needs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.backbones.tiny.TinyAudio.sample_rate", 3 * RATE)
    samples = np.repeat(noise(2.5), 3)
    with TestClient(create_app(settings)) as client:
        with client.websocket_connect("/live") as socket:
            assert socket.receive_json()["sample_rate"] == 3 * RATE
            socket.send_bytes(samples.tobytes())
            socket.send_text("end")
            *_, piece, _ = rest_of(socket)
        sound = make_sound((samples / 2**15).astype(np.float32), rate=3 * RATE)
        whole = client.post("/encode", files={"file": sound}).json()["streams"]["audio"]
    assert piece["codes"] == whole["codes"]
    assert len(piece["codes"][0]) == 3


def test_floats_are_taken_too(shared_client: TestClient) -> None:
    samples = noise(1)
    answers = []
    for name, data in (("s16le", samples), ("f32le", (samples / 2**15).astype("<f4"))):
        with shared_client.websocket_connect(f"/live?format={name}") as socket:
            socket.receive_json()
            socket.send_bytes(data.tobytes())
            answers.append(socket.receive_json())
    assert answers[0] == answers[1]


def problem(client: TestClient, *sent: bytes | str, path: str = "/live") -> tuple[int, str]:
    with client.websocket_connect(path) as socket:
        assert socket.receive_json()["kind"] == "start"
        for message in sent:
            if isinstance(message, str):
                socket.send_text(message)
            else:
                socket.send_bytes(message)
        *_, last, closed = rest_of(socket)
    assert last["kind"] == "problem"
    return closed["code"], last["problem"]["detail"]


def test_what_is_wrong_is_said_before_the_connection_closes(shared_client: TestClient) -> None:
    code, detail = problem(shared_client, "hello")
    assert code == 1008
    assert '"end" ends it' in detail
    code, detail = problem(shared_client, bytes(2**20 + 1))
    assert code == 1009
    assert "at most 1048576" in detail
    nan = np.full(RATE, np.nan, "<f4").tobytes()
    code, detail = problem(shared_client, nan, path="/live?format=f32le")
    assert code == 1008
    assert "NaN" in detail


def test_who_says_nothing_is_not_waited_for(
    shared_client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.routes.live.IDLE_SECONDS", 0.01)
    code, detail = problem(shared_client)
    assert code == 1008
    assert "send silence too" in detail


def test_sound_has_an_end(settings: Settings) -> None:
    short = settings.model_copy(update={"max_media_seconds": 2})
    with TestClient(create_app(short)) as client:
        code, detail = problem(client, noise(3).tobytes())
    assert code == 1009
    assert "the limit is 2" in detail


def test_only_so_many_are_connected_and_those_who_leave_make_room(settings: Settings) -> None:
    one = settings.model_copy(update={"max_live": 1})
    with TestClient(create_app(one)) as client:
        with client.websocket_connect("/live") as first:
            first.receive_json()
            with client.websocket_connect("/live") as second:
                refused, closed = rest_of(second)
            assert refused["problem"]["status"] == 503
            assert closed["code"] == 1013
        with client.websocket_connect("/live") as third:
            assert third.receive_json()["kind"] == "start"


def test_pages_of_other_sites_may_not_connect(client: TestClient, settings: Settings) -> None:
    evil = {"origin": "https://evil.example"}
    # A page of another site sends the cookie of this one along: a key there proves nothing.
    cookie = {"cookie": f"srcid_key={KeyFile(settings.data_dir).add('web', Scope.READ)}"}
    for headers in (evil | cookie, {"origin": "null"} | cookie):
        with (
            pytest.raises(WebSocketDenialResponse) as denied,
            client.websocket_connect("/live", headers=headers),
        ):
            pass
        assert denied.value.status_code == 403
        assert "SRCID_CORS_ORIGINS" in denied.value.json()["detail"]
    own = {"origin": "http://testserver"} | cookie
    with client.websocket_connect("/live", headers=own) as socket:
        assert socket.receive_json()["kind"] == "start"
