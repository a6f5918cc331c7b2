"""Media from a later second on: the same picture and sound as in the whole, without the rest."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.errors import MediaError
from model.media import SAMPLE_RATE, DecodeConfig, read_clip
from tests.media_maker import (
    SOUND_CODECS,
    VIDEO_CODECS,
    colours,
    make_picture,
    make_sound,
    make_video,
)

SECONDS, STEPS = 23, 5
WHOLE = DecodeConfig(short_side=32, max_steps=60)
# Sound starts at a whole sample, so that it may be off by half of one: of a sine of amplitude 0.5
# and at most 284 Hz, that is a mean of 0.5 * 2 pi * 284 / 32,000 * 2 / pi.
HALF_A_SAMPLE = 0.018


def part(start_second: int) -> DecodeConfig:
    return WHOLE.model_copy(update={"start_second": start_second, "max_steps": STEPS})


def pictures() -> NDArray[np.uint8]:
    """Two frames a second of patterns that move, so that no two are alike."""
    pattern = np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype(np.uint8)
    frames = [np.roll(pattern, number, 1) + np.uint8(number) for number in range(2 * SECONDS)]
    return np.stack([np.kron(own, np.ones((8, 8, 1), np.uint8)) for own in frames])


def hum(rate: int) -> NDArray[np.float32]:
    """A sound whose pitch says the second."""
    times = np.arange(SECONDS * rate) / rate
    return (0.5 * np.sin(2 * np.pi * (100 + 4 * times) * times)).astype(np.float32)


@pytest.mark.parametrize("container", VIDEO_CODECS)
def test_the_parts_of_a_video_are_those_of_the_whole(container: str) -> None:
    video = make_video(pictures(), 2, hum(48_000), 48_000, container)
    whole = read_clip(video, WHOLE)
    assert whole.frames is not None
    assert whole.waveform is not None
    for start in (0, 5, 10, 15, 20):
        own = read_clip(video, part(start))
        assert own.frames is not None
        assert own.waveform is not None
        assert own.duration_seconds == pytest.approx(whole.duration_seconds, abs=0.05)
        assert np.array_equal(own.frames, whole.frames[start : start + STEPS])
        expected = whole.waveform[start * SAMPLE_RATE : (start + STEPS) * SAMPLE_RATE]
        assert abs(len(own.waveform) - len(expected)) <= 1
        shorter = min(len(own.waveform), len(expected))
        assert np.abs(own.waveform[:shorter] - expected[:shorter]).mean() < HALF_A_SAMPLE


@pytest.mark.parametrize("container", SOUND_CODECS)
def test_the_parts_of_a_sound_are_those_of_the_whole(container: str) -> None:
    sound = make_sound(hum(48_000), 48_000, container)
    whole = read_clip(sound, WHOLE).waveform
    assert whole is not None
    for start in (5, 20):
        own = read_clip(sound, part(start)).waveform
        assert own is not None
        expected = whole[start * SAMPLE_RATE : (start + STEPS) * SAMPLE_RATE]
        shorter = min(len(own), len(expected))
        assert shorter >= len(expected) - SAMPLE_RATE // 10
        assert np.abs(own[:shorter] - expected[:shorter]).mean() < HALF_A_SAMPLE


def test_a_file_without_an_index_is_read_from_its_beginning() -> None:
    video = make_video(colours(12), is_live=True, container="mkv")
    whole = read_clip(video, WHOLE)
    own = read_clip(video, part(10))
    assert whole.frames is not None
    assert own.frames is not None
    assert np.array_equal(own.frames, whole.frames[10:])


def test_a_part_in_which_the_sound_is_over_has_none() -> None:
    own = read_clip(make_video(colours(12), audio=hum(44_100)[: 3 * 44_100]), part(5))
    assert own.frames is not None
    assert own.waveform is None


def test_the_last_frame_stays_in_a_part_that_has_sound_only() -> None:
    video = make_video(colours(3), audio=hum(44_100)[: 12 * 44_100])
    own = read_clip(video, part(10))
    assert own.frames is not None
    assert own.frames.shape[0] == 2
    assert own.frames.mean() == pytest.approx(60, abs=5)  # what `colours` shows in the third second


@pytest.mark.parametrize("start", [12, 13, 3000])
def test_there_is_nothing_beyond_the_end(start: int) -> None:
    with pytest.raises(MediaError, match=f"nothing at second {start}"):
        read_clip(make_video(colours(12), audio=hum(44_100)[: 12 * 44_100]), part(start))


def test_a_picture_has_no_seconds(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(make_picture(np.full((40, 60, 3), 90, np.uint8)))
    assert read_clip(path, part(5)).duration_seconds is None


def test_what_lies_before_is_not_even_decoded() -> None:
    sound = bytearray(make_sound(hum(48_000), 48_000, "mp4"))
    expected = read_clip(bytes(sound), part(20)).waveform
    size = len(sound)
    sound[size // 20 : size * 3 // 5] = bytes(size * 3 // 5 - size // 20)
    with pytest.raises(MediaError, match="damaged"):
        read_clip(bytes(sound), WHOLE)
    own = read_clip(bytes(sound), part(20)).waveform
    assert expected is not None
    assert own is not None
    assert np.array_equal(own, expected)
