"""What the engine promises about waiting: bounded decoding, one thread on the device."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from torch import Tensor, zeros

from app.engine.engine import Engine
from app.errors import InvalidMedia, TooLarge
from app.settings import Settings
from model.encoder import Codes, Encoder
from model.media import Clip
from model.modality import Modality
from tests.media_maker import colours, make_video


class Counted:
    """How many threads are inside at once, at most."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.01)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self.now -= 1


class CountingEncoder:
    """Stands in for ``Encoder``: counts who is inside instead of encoding."""

    modalities = tuple(Modality)
    frames_per_step = 1

    def __init__(self) -> None:
        self.preparing, self.on_device = Counted(), Counted()
        self.prepared: list[Clip | str] = []
        self.may_prepare = threading.Event()
        self.may_prepare.set()

    def prepare(self, item: Clip | str) -> dict[Modality, Tensor]:
        self.prepared.append(item)
        with self.preparing:
            self.may_prepare.wait(10)
            return {Modality.AUDIO: zeros(1, 8)}

    def encode(self, prepared: Sequence[tuple[Modality, Tensor]]) -> list[Codes]:
        with self.on_device:
            return [np.zeros((2, 1), np.int16) for _ in prepared]

    def encode_text(self, text: str) -> Codes:
        with self.on_device:
            return np.zeros((2, len(text.split())), np.int16)


@pytest.fixture
def encoder() -> CountingEncoder:
    return CountingEncoder()


@pytest.fixture
def make_engine(encoder: CountingEncoder) -> Callable[..., Engine]:
    def make(**settings: int) -> Engine:
        return Engine(cast(Encoder, encoder), Settings.model_validate(settings))

    return make


@pytest.mark.parametrize("max_decodes", [1, 3])
def test_no_more_files_are_decoded_at_once_than_the_setting_says(
    make_engine: Callable[..., Engine], encoder: CountingEncoder, sound: bytes, max_decodes: int
) -> None:
    engine = make_engine(max_decodes=max_decodes)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(engine.encode, [sound] * 16))
    assert encoder.preparing.most == max_decodes
    assert encoder.on_device.most == 1


def test_a_sentence_waits_for_no_decoding(
    make_engine: Callable[..., Engine], encoder: CountingEncoder, sound: bytes
) -> None:
    engine = make_engine(max_decodes=1)
    encoder.may_prepare.clear()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(engine.encode, sound)
        assert engine.encode("a dog").codes[Modality.TEXT].shape == (2, 2)
        assert not waiting.done()
        encoder.may_prepare.set()
        assert waiting.result().codes.keys() == {Modality.AUDIO}


def test_a_file_that_fails_leaves_its_place_to_others(
    make_engine: Callable[..., Engine], sound: bytes
) -> None:
    engine = make_engine(max_decodes=1)
    for _ in range(3):
        with pytest.raises(InvalidMedia):
            engine.encode(b"nonsense")
    assert engine.encode(sound).codes


def test_bytes_and_a_path_are_the_same_media(
    make_engine: Callable[..., Engine], sound: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(sound)
    engine = make_engine()
    assert engine.encode(path).duration_seconds == engine.encode(sound).duration_seconds


def test_a_second_has_as_many_frames_as_the_backbones_look_at(
    make_engine: Callable[..., Engine], encoder: CountingEncoder
) -> None:
    encoder.frames_per_step = 16
    make_engine().encode(make_video(colours(2)))
    (clip,) = encoder.prepared
    assert isinstance(clip, Clip)
    assert clip.frames is not None
    assert clip.frames.shape[:2] == (2, 16)


def test_media_over_a_limit_is_too_large(make_engine: Callable[..., Engine], sound: bytes) -> None:
    with pytest.raises(TooLarge):
        make_engine(max_media_seconds=2).encode(sound)
    with pytest.raises(TooLarge):
        make_engine(max_media_bytes=1000).encode(sound)


@pytest.mark.parametrize("modality", [Modality.VIDEO, Modality.TEXT])
def test_a_stream_that_the_media_does_not_have_is_named(
    make_engine: Callable[..., Engine], sound: bytes, modality: Modality
) -> None:
    with pytest.raises(InvalidMedia, match=f"no {modality} stream"):
        make_engine().encode(sound, modality)
