import gc
from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from model.sampling import FrameSampler, SoundSampler, upright

RATE = 16_000


def frame(grey: int, size: tuple[int, int] = (32, 48)) -> av.VideoFrame:
    pixels = np.full((*size, 3), grey, np.uint8)
    return av.VideoFrame.from_ndarray(pixels, format="rgb24")


def block(samples: NDArray[np.float32], rate: int = RATE, layout: str = "mono") -> av.AudioFrame:
    made = av.AudioFrame.from_ndarray(np.atleast_2d(samples), format="fltp", layout=layout)
    made.sample_rate = rate
    made.time_base = Fraction(1, rate)
    return made


@pytest.fixture
def sound() -> SoundSampler:
    return SoundSampler(rate=RATE, max_seconds=4)


@pytest.fixture
def pictures() -> FrameSampler:
    return FrameSampler(None, frames_per_step=1, max_steps=4, short_side=32)


ONES = np.full(RATE, 0.5, np.float32)


def test_sound_that_starts_late_is_preceded_by_silence(sound: SoundSampler) -> None:
    sound.add(block(ONES), 1.0)
    sound.finish()
    expected = np.concatenate([np.zeros(RATE), ONES])
    np.testing.assert_allclose(sound.waveform(4), expected, atol=1e-3)


def test_sound_from_before_the_clip_is_dropped(sound: SoundSampler) -> None:
    ramp = np.linspace(-1, 1, 2 * RATE, dtype=np.float32)
    sound.add(block(ramp[:RATE]), -0.5)
    sound.add(block(ramp[RATE:]), 0.5)
    sound.finish()
    np.testing.assert_allclose(sound.waveform(4), ramp[RATE // 2 :], atol=1e-3)


def test_only_sound_from_before_the_clip_is_none(sound: SoundSampler) -> None:
    sound.add(block(ONES), -2.0)
    sound.finish()
    assert sound.is_empty


def test_a_gap_between_blocks_is_silent(sound: SoundSampler) -> None:
    sound.add(block(ONES), 0.0)
    sound.add(block(ONES), 2.0)
    sound.finish()
    expected = np.concatenate([ONES, np.zeros(RATE), ONES])
    np.testing.assert_allclose(sound.waveform(4), expected, atol=1e-3)


def test_rounded_times_of_blocks_leave_no_gap(sound: SoundSampler) -> None:
    for index in range(10):
        sound.add(block(ONES[: RATE // 10]), index / 10 + 0.004)
    sound.finish()
    assert len(sound.waveform(4)) == pytest.approx(RATE, abs=100)


def test_blocks_whose_times_overlap_follow_one_another(sound: SoundSampler) -> None:
    for index in range(10):
        sound.add(block(ONES[: RATE // 10]), max(0.0, index / 10 - 0.03))
    sound.finish()
    assert len(sound.waveform(4)) == pytest.approx(RATE, abs=100)


def test_a_change_of_rate_and_layout_midway_is_followed(sound: SoundSampler) -> None:
    sound.add(block(ONES), 0.0)
    sound.add(block(np.full((2, 48_000), 0.5, np.float32), 48_000, "stereo"), 1.0)
    sound.finish()
    assert sound.seconds == pytest.approx(2, abs=0.01)
    np.testing.assert_allclose(sound.waveform(4)[100 : 2 * RATE - 100], 0.5, atol=0.05)


def test_a_time_of_years_ahead_makes_no_years_of_silence(sound: SoundSampler) -> None:
    sound.add(block(ONES), 0.0)
    sound.add(block(ONES), 1e9)
    assert sound.is_full
    assert len(sound.waveform(4)) == 4 * RATE


def test_a_frame_stays_until_the_next_comes(pictures: FrameSampler) -> None:
    for grey, start in ((10, 0.0), (20, 0.6), (30, 1.4), (40, 3.4)):
        pictures.add(frame(grey), start)
    shown = pictures.steps(4)[:, 0, 0, 0, 0].tolist()
    assert shown == [10, 30, 30, 40]


def test_frames_without_times_follow_one_another(pictures: FrameSampler) -> None:
    pictures.frame_seconds = 0.5
    for grey in (10, 20, 30, 40):
        pictures.add(frame(grey), None)
    assert pictures.seconds == 2.0
    assert pictures.steps(2)[:, 0, 0, 0, 0].tolist() == [20, 40]


def test_frames_of_another_size_take_the_first_ones(pictures: FrameSampler) -> None:
    pictures.add(frame(10), 0.0)
    pictures.add(frame(20, (64, 64)), 1.0)
    assert pictures.steps(2).shape == (2, 1, 32, 48, 3)


def test_wide_pixels_make_a_wide_picture(pictures: FrameSampler) -> None:
    pictures.pixel_aspect = 2.0
    pictures.add(frame(10), 0.0)
    assert pictures.steps(1).shape == (1, 1, 32, 96, 3)


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ([[1, 0], [0, 1]], [[1, 2], [3, 4]]),
        ([[-1, 0], [0, 1]], [[2, 1], [4, 3]]),
        ([[1, 0], [0, -1]], [[3, 4], [1, 2]]),
        ([[0, 1], [-1, 0]], [[3, 1], [4, 2]]),  # (x, y) is shown at (-y, x): clockwise
        ([[0, -1], [1, 0]], [[2, 4], [1, 3]]),
        ([[0, 1], [1, 0]], [[1, 3], [2, 4]]),
        ([[0, -1], [-1, 0]], [[4, 2], [3, 1]]),
    ],
)
def test_display_matrices_turn_and_mirror(matrix: list[list[int]], shown: list[list[int]]) -> None:
    pixels = np.array([[1, 2], [3, 4]], np.uint8)[..., None].repeat(3, -1)
    turned = upright(pixels, 65_536 * np.array(matrix, np.int32))
    assert turned[..., 0].tolist() == shown


def test_a_frame_of_full_size_is_given_up_when_the_next_comes(pictures: FrameSampler) -> None:
    """Without waiting for the garbage collector: a minute of them would be hundreds of MB."""
    gc.collect()
    gc.disable()
    try:
        for second in range(4):
            pictures.add(frame(grey=60 * second), float(second))
        pictures.steps(4)
        alive = [own for own in gc.get_objects() if type(own) is av.VideoFrame]
    finally:
        gc.enable()
    assert len(alive) <= 2  # the one that is shown, and the one that told how it is turned
