"""What the engine promises: who waits for whom, who is refused, and the same codes always."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from app.engine.batcher import MicroBatcher
from app.engine.engine import Encoded, Engine
from app.engine.stages import NetworkInput, Passage, Preprocessor
from app.errors import EngineFailed, InvalidMedia, Overloaded, TooLarge
from app.settings import Settings
from app.telemetry.engine_observer import EngineObserver, Part
from model.encoder import Encoder
from model.media import DecodeConfig, read_clip
from model.modality import Modality
from tests.media_maker import colours, make_video, tone

WAIT = 30  # seconds: far more than anything here takes
MakeEngine = Callable[..., Engine]


class WatchedEncoder(Encoder):
    """An encoder that works only while it may, and remembers what it was given."""

    frames = 1

    def watch(self) -> None:
        self.may_encode = threading.Event()
        self.may_encode.set()
        self.is_encoding = threading.Semaphore(0)
        self.shapes: list[list[int]] = []

    def decode_config(self, **limits: int) -> DecodeConfig:
        return super().decode_config(frames_per_step=self.frames, **limits)

    def features(self, prepared: Sequence[tuple[Modality, Tensor]]) -> list[Tensor]:
        self.shapes += [list(tensor.shape) for _, tensor in prepared]
        self.is_encoding.release()
        assert self.may_encode.wait(WAIT)
        return super().features(prepared)


@pytest.fixture
def encoder(tiny_checkpoint: Path) -> WatchedEncoder:
    encoder = WatchedEncoder.from_pretrained(tiny_checkpoint)
    encoder.watch()
    return encoder


@pytest.fixture
def make_engine(encoder: WatchedEncoder) -> Iterator[MakeEngine]:
    made = []

    def make(**settings: int) -> Engine:
        defaults = {"max_decodes": 1, "network_threads": 1}
        made.append(Engine(encoder, Settings.model_validate(defaults | settings)))
        made[-1].start()
        encoder.watch()  # anew, after the probes
        return made[-1]

    yield make
    encoder.may_encode.set()
    for engine in made:
        engine.close()


def codes_of(encoded: Encoded) -> dict[Modality, bytes]:
    return {m: codes.tobytes() for m, codes in encoded.codes.items()}


def answered(future: "Future[Encoded]") -> Encoded:
    """Return what comes of it, once the engine has made room again, which is just after it came."""
    has_left = threading.Event()
    future.add_done_callback(lambda _: has_left.set())
    assert has_left.wait(WAIT)
    return future.result()


def test_media_has_the_codes_of_its_decoded_streams(
    make_engine: MakeEngine, encoder: WatchedEncoder, clip: bytes, tmp_path: Path
) -> None:
    engine = make_engine()
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip)
    decoded = read_clip(clip)
    expected = encoder.encode(decoded)
    for source in (clip, path, decoded):
        encoded = engine.encode(source)
        assert codes_of(encoded) == {m: codes.tobytes() for m, codes in expected.items()}
        assert encoded.duration_seconds == decoded.duration_seconds


def test_a_sentence_has_a_code_a_word_and_no_duration(make_engine: MakeEngine) -> None:
    encoded = make_engine().encode("a dog barks")
    assert encoded.codes[Modality.TEXT].shape == (2, 3)
    assert encoded.duration_seconds is None


def test_one_stream_can_be_asked_for(make_engine: MakeEngine, clip: bytes) -> None:
    engine = make_engine()
    both = engine.encode(clip)
    assert both.codes.keys() == {Modality.AUDIO, Modality.VIDEO}
    for modality in both.codes:
        assert codes_of(engine.encode(clip, modality)) == {
            modality: codes_of(both)[modality],
        }


@pytest.mark.parametrize("modality", [Modality.VIDEO, Modality.TEXT])
def test_a_stream_that_the_media_does_not_have_is_named(
    make_engine: MakeEngine, sound: bytes, modality: Modality
) -> None:
    with pytest.raises(InvalidMedia, match=f"no {modality} stream"):
        make_engine().encode(sound, modality)


def test_a_sentence_waits_for_no_decoding(
    make_engine: MakeEngine, encoder: WatchedEncoder, sound: bytes
) -> None:
    engine = make_engine(network_threads=2)
    encoder.may_encode.clear()
    media = engine.submit(sound)
    assert encoder.is_encoding.acquire(timeout=WAIT)
    sentence = engine.submit("a dog")
    assert encoder.is_encoding.acquire(timeout=WAIT)
    encoder.may_encode.set()
    assert sentence.result(WAIT).codes.keys() == {Modality.TEXT}
    assert media.result(WAIT).codes.keys() == {Modality.AUDIO}


def test_a_file_that_fails_leaves_its_place_to_others(
    make_engine: MakeEngine, sound: bytes
) -> None:
    engine = make_engine(max_queue=1, max_batch=1)
    for _ in range(8):  # more than may be decoded ahead of the network
        with pytest.raises(InvalidMedia):
            answered(engine.submit(b"nonsense"))
    assert answered(engine.submit(sound)).codes
    assert engine.num_waiting == 0


def test_a_second_has_as_many_frames_as_the_backbones_look_at(
    make_engine: MakeEngine, encoder: WatchedEncoder
) -> None:
    encoder.frames = 16
    make_engine().encode(make_video(colours(2)))
    assert [shape[:2] for shape in encoder.shapes] == [[2, 16]]


def test_what_is_over_a_limit_is_too_large(make_engine: MakeEngine, sound: bytes) -> None:
    with pytest.raises(TooLarge, match=r"of at most 2; .* raise SRCID_MAX_MEDIA_SECONDS$"):
        make_engine(max_media_seconds=2).encode(sound)
    with pytest.raises(TooLarge, match=r"of at most 1000; .* raise SRCID_MAX_MEDIA_BYTES$"):
        make_engine(max_media_bytes=1000).encode(sound)
    with pytest.raises(TooLarge, match=r"11 characters, at most 10.* SRCID_MAX_TEXT_CHARACTERS"):
        make_engine(max_text_characters=10).encode("a dog barks")


@pytest.mark.parametrize("sentence", ["", " \n"])
def test_a_sentence_without_words_is_invalid(make_engine: MakeEngine, sentence: str) -> None:
    with pytest.raises(InvalidMedia, match="empty"):
        make_engine().encode(sentence)


def test_what_is_more_than_may_wait_is_refused_at_once(
    make_engine: MakeEngine, encoder: WatchedEncoder, sound: bytes
) -> None:
    engine = make_engine(max_queue=3)
    encoder.may_encode.clear()
    accepted = [engine.submit(source) for source in [sound] * 3 + ["a dog"] * 3]
    with pytest.raises(Overloaded, match="3 media files wait") as refused:
        engine.submit(sound)
    assert refused.value.retry_after_seconds
    with pytest.raises(Overloaded, match="3 sentences wait"):
        engine.submit("a dog")
    assert engine.num_waiting == 6
    encoder.may_encode.set()
    assert all(answered(future).codes for future in accepted)
    assert engine.num_waiting == 0
    assert engine.encode("a dog").codes


def test_decoding_does_not_run_far_ahead_of_the_network(
    make_engine: MakeEngine, encoder: WatchedEncoder, picture: bytes
) -> None:
    engine = make_engine(max_batch=1, max_decodes=1)  # 3 clips between the stages
    encoder.may_encode.clear()
    futures = [engine.submit(picture) for _ in range(8)]
    assert encoder.is_encoding.acquire(timeout=WAIT)
    while engine._preprocessing.num_waiting > 5:
        assert not futures[-1].done()
    assert engine._preprocessing.num_waiting == 5
    encoder.may_encode.set()
    wait(futures, WAIT)
    assert all(future.result().codes for future in futures)


@pytest.mark.parametrize("kind", ["sound", "sentence"])
def test_work_of_those_who_have_gone_is_dropped(
    make_engine: MakeEngine, encoder: WatchedEncoder, sound: bytes, kind: str
) -> None:
    source = {"sound": sound, "sentence": "a dog"}[kind]
    engine = make_engine()
    encoder.may_encode.clear()
    first = engine.submit("first")
    assert encoder.is_encoding.acquire(timeout=WAIT)

    async def go_away() -> None:
        await asyncio.wait_for(engine.encode_async(source), 0.001)

    with pytest.raises(TimeoutError):
        asyncio.run(go_away())
    encoder.may_encode.set()
    assert answered(first).codes
    assert answered(engine.submit("last")).codes
    while engine._preprocessing.num_waiting or engine._network.num_waiting:
        pass
    assert engine.num_waiting == 0
    assert encoder.shapes == [[1], [1]]  # of "first" and "last"


def test_on_a_cpu_the_network_takes_one_item_at_a_time(
    make_engine: MakeEngine, encoder: WatchedEncoder
) -> None:
    engine = make_engine(max_batch=8)
    encoder.may_encode.clear()
    futures = [engine.submit("a dog") for _ in range(4)]
    assert encoder.is_encoding.acquire(timeout=WAIT)
    encoder.may_encode.set()
    wait(futures, WAIT)
    assert all(encoder.is_encoding.acquire(blocking=False) for _ in range(3))


def test_awaiting_gives_what_blocking_does(make_engine: MakeEngine, clip: bytes) -> None:
    engine = make_engine()

    async def together() -> list[Encoded]:
        return await asyncio.gather(*map(engine.encode_async, [clip, "a dog", clip]))

    encoded = asyncio.run(together())
    expected = [engine.encode(clip), engine.encode("a dog"), engine.encode(clip)]
    assert list(map(codes_of, encoded)) == list(map(codes_of, expected))


def test_an_engine_is_well_once_started(make_engine: MakeEngine, sound: bytes) -> None:
    with make_engine() as engine:
        engine.check()
    for source in ("a dog", sound):
        with pytest.raises(EngineFailed, match="is stopping"):
            engine.encode(source)
    assert engine.num_waiting == 0


def test_a_broken_network_shows(
    make_engine: MakeEngine, encoder: WatchedEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
    engine.start()

    def die(prepared: object) -> list[Tensor]:
        raise SystemExit("dead")

    with monkeypatch.context() as patch:
        patch.setattr(encoder, "features", die)
        with pytest.raises(EngineFailed, match="a thread died"):
            engine.encode("a dog")
        with pytest.raises(EngineFailed, match="device thread"):
            engine.check()
    assert engine.encode("a dog").codes


@pytest.mark.parametrize("kind", ["device", "decoder"])
def test_a_failure_of_either_kind_of_thread_shows(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def failure(batcher: "MicroBatcher[object, object]") -> str | None:
        return f"a {kind} thread hangs" if batcher.part == kind else None

    engine = make_engine()
    monkeypatch.setattr(MicroBatcher, "failure", property(failure))
    with pytest.raises(EngineFailed, match=f"a {kind} thread hangs"):
        engine.check()


def test_decode_workers_that_do_not_start_show(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
    monkeypatch.setattr(engine._pool, "_failure", "decode workers do not start")
    with pytest.raises(EngineFailed, match="do not start"):
        engine.check()


@pytest.mark.parametrize("source", ["sound", "sentence"])
def test_requests_that_are_never_answered_show(
    make_engine: MakeEngine,
    encoder: WatchedEncoder,
    sound: bytes,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
) -> None:
    engine = make_engine(max_decode_seconds=20, max_run_seconds=30, max_media_bytes=2**20)
    encoder.may_encode.clear()
    future = engine.submit({"sound": sound, "sentence": "a dog"}[source])
    now = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr("app.admission.time.monotonic", lambda: now + 49)
        engine.check()
        patch.setattr("app.admission.time.monotonic", lambda: now + 52)
        with pytest.raises(EngineFailed, match="none answered"):
            engine.check()
    encoder.may_encode.set()
    assert answered(future).codes


def test_a_replaced_decoding_thread_is_counted(
    encoder: WatchedEncoder, sound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counting(EngineObserver):
        def __init__(self) -> None:
            self.replaced: list[Part] = []

        def restarted(self, part: Part) -> None:
            self.replaced.append(part)

    def die(self: Preprocessor, batch: object) -> list[NetworkInput]:
        raise SystemExit("dead")

    observer = Counting()
    monkeypatch.setattr(Preprocessor, "run", die)
    settings = Settings(max_decodes=1, network_threads=1)
    with Engine(encoder, settings, observer=observer) as engine:
        for _ in range(2):
            with pytest.raises(EngineFailed, match="a thread died"):
                answered(engine.submit(sound))
    assert observer.replaced == ["decoder", "decoder"]


def test_a_passage_of_a_file_has_the_codes_of_its_seconds(
    make_engine: MakeEngine, encoder: WatchedEncoder, clip: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip)
    encoded = make_engine().encode(Passage(path, 1, 1))
    config = encoder.decode_config(start_second=1, max_steps=1)
    expected = encoder.encode(read_clip(clip, config))
    assert codes_of(encoded) == {m: codes.tobytes() for m, codes in expected.items()}


def test_closing_waits_for_the_networks_threads(make_engine: MakeEngine) -> None:
    """Python would end the process under them; within torch that is an abort."""
    engine = make_engine()
    engine.encode("a dog barks")  # one thread answers, others may still be trying the network
    engine.close()
    assert not any(runner.thread.is_alive() for runner in engine._network._runners)


def test_an_engine_that_nobody_holds_ends_its_processes(
    make_engine: MakeEngine, encoder: WatchedEncoder, picture: bytes
) -> None:
    engine = Engine(encoder, Settings(max_decodes=1))
    engine.encode(picture)
    (pid,) = engine._pool.pids
    assert Path(f"/proc/{pid}").exists()
    del engine
    gc.collect()
    assert not Path(f"/proc/{pid}").exists()


def test_a_thumbnail_is_a_small_jpeg(make_engine: MakeEngine, clip: bytes, sound: bytes) -> None:
    engine = make_engine()
    jpeg = engine.thumbnail(clip)
    assert jpeg is not None
    assert jpeg.startswith(b"\xff\xd8")
    assert engine.thumbnail(sound) is None
    with pytest.raises(InvalidMedia):
        engine.thumbnail(b"nonsense")


def test_codes_are_the_same_in_every_company_order_and_thread(tmp_path: Path) -> None:
    """With the shipped checkpoint: alone, 64 at once from 16 threads, and after a restart."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (3, 1, 64, 96, 3)).astype(np.uint8)
    sources: list[bytes | str] = [
        make_video(np.repeat(pixels[n], 10, 0), audio=tone(1 + n / 2, hertz=200.0 * (n + 1)))
        for n in range(3)
    ]
    sources += ["dog", "a dog barks in the rain", "someone plays the piano, slowly and softly"]
    encoder = Encoder.from_pretrained("compact")
    settings = Settings(max_decodes=2, network_threads=2)
    with Engine(encoder, settings) as engine:
        alone = [codes_of(engine.encode(source)) for source in sources]
        order = rng.permutation(np.repeat(np.arange(len(sources)), 11)).tolist()[:64]
        with ThreadPoolExecutor(16) as pool:
            together = list(pool.map(engine.encode, [sources[n] for n in order]))
    assert list(map(codes_of, together)) == [alone[n] for n in order]
    with Engine(encoder, settings) as engine:
        assert [codes_of(engine.encode(source)) for source in reversed(sources)] == alone[::-1]


def test_what_was_decoded_is_given_up_once_it_is_encoded(
    make_engine: MakeEngine, clip: bytes
) -> None:
    """Without waiting for the garbage collector: ten seconds are 2 MB, an hour's minutes 600."""
    engine = make_engine()
    gc.collect()
    before = num_decoded()  # threads of other engines may hold some
    gc.disable()
    try:
        for _ in range(4):
            engine.encode(clip)
        held = num_decoded() - before
    finally:
        gc.enable()
    assert held <= 1  # what the thread has looked at last


def num_decoded() -> int:
    """How many clips, not probes, are in memory."""
    return sum(
        type(item) is NetworkInput and bool(item.duration_seconds) for item in gc.get_objects()
    )


def test_a_cancelled_future_stays_cancelled(
    make_engine: MakeEngine, encoder: WatchedEncoder, sound: bytes
) -> None:
    engine = make_engine()
    encoder.may_encode.clear()
    running = engine.submit(sound)
    assert encoder.is_encoding.acquire(timeout=WAIT)
    assert running.cancel()
    encoder.may_encode.set()
    with pytest.raises(CancelledError):
        running.result(WAIT)
    assert engine.encode(sound).codes
    assert torch.get_num_threads() == 1
