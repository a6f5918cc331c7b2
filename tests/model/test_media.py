import subprocess
import sys
import wave
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from model.errors import MediaError, MediaTooLarge
from model.media import SAMPLE_RATE, Clip, DecodeConfig, num_steps, read_clip
from model.streams import read_streams
from tests.media_maker import (
    SOUND_CODECS,
    VIDEO_CODECS,
    colours,
    make_picture,
    make_sound,
    make_video,
    tone,
)

SMALL = DecodeConfig(short_side=32)
PIXELS = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)


def greys(clip: Clip) -> list[int]:
    """Each frame's mean, to the nearest ten: 20 for what `colours` shows in the first second."""
    assert clip.frames is not None
    return [round(mean / 10) * 10 for mean in clip.frames.mean((2, 3, 4)).flatten()]


def lag(heard: NDArray[np.float32], played: NDArray[np.float32]) -> int:
    """How many samples later `heard` is than `played`."""
    size = 2 * max(len(heard), len(played))
    product = np.fft.rfft(heard, size) * np.fft.rfft(played, size).conj()
    peak = int(np.fft.irfft(product, size).argmax())
    return peak if peak < size // 2 else peak - size


def noise(seconds: float) -> NDArray[np.float32]:
    """Noise below 3 kHz at 48 kHz, which every codec keeps."""
    white = np.random.default_rng(0).normal(0, 0.5, int(seconds * 48_000))
    spectrum = np.fft.rfft(white)
    spectrum[int(3000 * seconds) :] = 0
    return np.fft.irfft(spectrum, len(white)).astype(np.float32)


@pytest.mark.parametrize("container", VIDEO_CODECS)
def test_a_video_is_one_frame_and_one_second_of_sound_a_step(container: str) -> None:
    data = make_video(colours(5), 10, tone(5, 48_000), 48_000, container)
    clip = read_clip(data, SMALL)
    assert clip.frames is not None
    assert clip.waveform is not None
    assert clip.frames.shape == (5, 1, 32, 48, 3)
    assert greys(clip) == [20, 40, 60, 80, 100]
    assert clip.waveform.shape == (5 * SAMPLE_RATE,)
    assert clip.duration_seconds == pytest.approx(5, abs=0.05)


@pytest.mark.parametrize("container", SOUND_CODECS)
def test_a_sound_has_no_frames_and_keeps_its_place_in_time(container: str) -> None:
    played = noise(2)
    clip = read_clip(make_sound(played, 48_000, container))
    assert clip.frames is None
    assert clip.waveform is not None
    assert clip.waveform.dtype == np.float32
    assert len(clip.waveform) == 2 * SAMPLE_RATE
    assert abs(lag(clip.waveform, played[::3])) <= 1
    assert clip.duration_seconds == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("container", ["jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"])
def test_a_picture_is_one_step_without_duration(container: str) -> None:
    clip = read_clip(make_picture(colours(1)[0], container), SMALL)
    assert clip.frames is not None
    assert clip.frames.shape == (1, 1, 32, 48, 3)
    assert greys(clip) == [20]
    assert clip.waveform is None
    assert clip.duration_seconds is None


def test_a_picture_in_a_container_of_video_has_no_duration_either() -> None:
    """As HEIC is read, which Pillow does not know: an AVIF, past Pillow."""
    clip = read_streams(BytesIO(make_picture(colours(1)[0], "avif")), SMALL)
    assert greys(clip) == [20]
    assert clip.duration_seconds is None


def test_a_path_reads_as_its_bytes_do(tmp_path: Path) -> None:
    data = make_video(colours(2), 10, tone(2))
    path = tmp_path / "misleading.m3u8"
    path.write_bytes(data)
    ours, theirs = read_clip(path, SMALL), read_clip(data, SMALL)
    np.testing.assert_array_equal(ours.frames, theirs.frames)
    np.testing.assert_array_equal(ours.waveform, theirs.waveform)


def test_a_video_without_sound_has_no_waveform() -> None:
    clip = read_clip(make_video(colours(8)), SMALL)
    assert greys(clip) == [20, 40, 60, 80, 100, 120, 140, 160]
    assert clip.waveform is None


def test_silence_is_a_sound() -> None:
    clip = read_clip(make_sound(np.zeros(44_100, np.float32)))
    assert clip.waveform is not None
    assert not clip.waveform.any()


def test_stereo_is_averaged() -> None:
    left = tone(1, SAMPLE_RATE)
    clip = read_clip(make_sound(np.stack([left, np.zeros_like(left)]), SAMPLE_RATE))
    np.testing.assert_allclose(clip.waveform, left / 2, atol=1e-4)


@pytest.mark.parametrize("channels", [3, 6, 8, 16])
def test_many_channels_are_averaged(channels: int) -> None:
    """Eight and more: PyAV crashes the process when asked for such planes as an array."""
    file = BytesIO()
    with wave.open(file, "wb") as output:
        output.setnchannels(channels)
        output.setsampwidth(2)
        output.setframerate(SAMPLE_RATE)
        samples = np.zeros((SAMPLE_RATE, channels), "<i2")
        samples[:, 0] = 16_384
        output.writeframes(samples.tobytes())
    clip = read_clip(file.getvalue())
    np.testing.assert_allclose(clip.waveform, 0.5 / channels, atol=1e-4)


def test_sound_that_is_no_number_becomes_finite() -> None:
    samples = np.full(SAMPLE_RATE, np.nan, "<f4")
    samples[::2] = np.inf
    header = b"WAVEfmt \x10\0\0\0\x03\0\x01\0" + np.array([16_000, 64_000], "<u4").tobytes()
    header += b"\x04\0\x20\0data" + np.array(samples.nbytes, "<u4").tobytes()
    size = np.array(len(header) + samples.nbytes, "<u4").tobytes()
    clip = read_clip(b"RIFF" + size + header + samples.tobytes())
    assert clip.waveform is not None
    assert np.abs(clip.waveform).max() <= 1


# --- steps ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "steps"), [(0.0, 1), (0.2, 1), (1.0, 1), (5.0, 5), (5.02, 5), (5.1, 6), (9.6, 10)]
)
def test_steps_are_seconds_rounded_up_but_for_padding(seconds: float, steps: int) -> None:
    assert num_steps(seconds) == steps


def test_a_broken_second_is_a_step_of_its_own() -> None:
    clip = read_clip(make_video(colours(3)[:24], 10, tone(2.4)), SMALL)
    assert greys(clip) == [20, 40, 60]  # the middle of step 3 is past the end: the last frame
    assert clip.waveform is not None
    assert 2.4 * SAMPLE_RATE <= len(clip.waveform) <= 2.45 * SAMPLE_RATE


def test_what_lies_beyond_max_steps_is_left_out_but_counts_as_duration() -> None:
    clip = read_clip(
        make_video(colours(12), 10, tone(12)), DecodeConfig(short_side=32, max_steps=3)
    )
    assert greys(clip) == [20, 40, 60]
    assert clip.waveform is not None
    assert len(clip.waveform) == 3 * SAMPLE_RATE
    assert clip.duration_seconds == pytest.approx(12, abs=0.05)


def test_the_length_of_a_file_that_does_not_tell_it_is_counted() -> None:
    data = make_video(colours(12), 10, tone(12, 48_000), 48_000, "webm", is_live=True)
    clip = read_clip(data, DecodeConfig(short_side=32, max_steps=2))
    assert greys(clip) == [20, 40]
    assert clip.duration_seconds == pytest.approx(12, abs=0.05)


def test_several_frames_a_step_are_those_at_the_middles_of_its_parts() -> None:
    frames = np.repeat(colours(8, 1), 2, axis=0)  # another grey every half second
    clip = read_clip(make_video(frames, 4), DecodeConfig(short_side=32, frames_per_step=2))
    assert clip.frames is not None
    assert clip.frames.shape[:2] == (4, 2)
    assert greys(clip) == [20, 40, 60, 80, 100, 120, 140, 160]


def test_frames_are_chosen_by_their_times_not_by_their_numbers() -> None:
    """20 from 0 s, 40 from 0.3 s, 60 from 2.1 s, 80 from 4.7 s."""
    clip = read_clip(make_video(colours(4, 1), 10, times=[0, 0.3, 2.1, 4.7]), SMALL)
    assert greys(clip) == [40, 40, 60, 60, 60]


def test_sound_that_ends_early_is_shorter_than_the_picture() -> None:
    clip = read_clip(make_video(colours(4), 10, tone(2)), SMALL)
    assert greys(clip) == [20, 40, 60, 80]
    assert clip.waveform is not None
    assert len(clip.waveform) < 2.1 * SAMPLE_RATE


def test_sound_that_ends_a_little_late_is_cut() -> None:
    clip = read_clip(make_video(colours(3), 10, tone(3.3)), SMALL)
    assert greys(clip) == [20, 40, 60]
    assert clip.waveform is not None
    assert len(clip.waveform) == 3 * SAMPLE_RATE


def test_the_last_frame_stays_while_the_sound_goes_on() -> None:
    clip = read_clip(make_video(colours(2), 10, tone(4)), SMALL)
    assert greys(clip) == [20, 40, 40, 40]
    assert clip.waveform is not None
    assert len(clip.waveform) == 4 * SAMPLE_RATE


# --- the right way up ----------------------------------------------------------------------


@pytest.mark.parametrize("hflip", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_turned_video_is_shown_upright(rotation: int, hflip: bool) -> None:
    coded = np.zeros((64, 96, 3), np.uint8)
    coded[:32, :48] = 255  # one white corner
    data = make_video(np.stack([coded] * 10), 10, rotation=rotation, hflip=hflip)
    shown = np.rot90(coded, rotation // 90)  # counterclockwise
    shown = shown[:, ::-1] if hflip else shown
    clip = read_clip(data, DecodeConfig(short_side=64))
    assert clip.frames is not None
    assert clip.frames[0, 0].shape == shown.shape
    assert np.abs(clip.frames[0, 0].astype(int) - shown).mean() < 5


def test_a_turned_photo_is_shown_upright() -> None:
    """Orientation 6 of EXIF: turn the picture a quarter clockwise."""
    shown = np.rot90(PIXELS, -1)
    clip = read_clip(make_picture(PIXELS, orientation=6), DecodeConfig(short_side=64))
    assert clip.frames is not None
    np.testing.assert_array_equal(clip.frames[0, 0], shown)


def test_transparency_is_white() -> None:
    layer = np.dstack([PIXELS, np.zeros((64, 96), np.uint8)])
    clip = read_clip(make_picture(layer), SMALL)
    assert clip.frames is not None
    assert (clip.frames == 255).all()


def test_sixteen_bit_greys_keep_their_brightness() -> None:
    ramp = np.broadcast_to(np.linspace(0, 65_535, 96).astype(np.uint16), (64, 96))
    clip = read_clip(make_picture(ramp), SMALL)
    assert clip.frames is not None
    assert clip.frames.mean() == pytest.approx(127.5, abs=2)


def test_cover_art_is_no_video() -> None:
    clip = read_clip(make_sound(tone(2), container="mp3", cover=PIXELS))
    assert clip.frames is None
    assert clip.waveform is not None


# --- refused -------------------------------------------------------------------------------

PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://%s\n#EXT-X-ENDLIST\n"
NOT_MEDIA = {
    "nothing": b"",
    "text": b"just some words\n" * 100,
    "zeros": bytes(5000),
    "noise": np.random.default_rng(0).bytes(50_000),
    "a program": b"\x7fELF" + bytes(range(256)) * 20,
    "half an mp4": make_video(colours(2), 10, tone(2))[:3000],
    "half a png": make_picture(PIXELS)[:2000],
    "half a jpeg": make_picture(PIXELS, "jpeg")[:2000],
    "a wav header": make_sound(tone(1))[:44],
}


@pytest.mark.parametrize("data", NOT_MEDIA.values(), ids=NOT_MEDIA)
def test_what_is_not_media_is_refused_with_advice(data: bytes) -> None:
    with pytest.raises(MediaError, match=r"send a whole mp4"):
        read_clip(data)


@pytest.mark.parametrize(
    "script",
    [PLAYLIST, b"ffconcat version 1.0\nfile %s\n", b"file '%s'\n"],
    ids=["m3u8", "ffconcat", "concat"],
)
def test_a_file_cannot_make_the_server_open_another(script: bytes, tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(make_sound(tone(1)))
    with pytest.raises(MediaError):
        read_clip(script % str(secret).encode())


def test_a_format_off_the_list_is_refused_though_it_would_decode() -> None:
    with pytest.raises(MediaError, match="the format NUT is not supported"):
        read_clip(make_sound(tone(1), container="nut"))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.mp4", tmp_path):
        with pytest.raises(MediaError, match="cannot read"):
            read_clip(path)


def test_too_many_bytes_are_refused_unread() -> None:
    with pytest.raises(MediaTooLarge, match="2001 bytes, of at most 2000"):
        read_clip(bytes(2001), DecodeConfig(max_bytes=2000))


@pytest.mark.parametrize("is_live", [False, True])
def test_too_many_seconds_are_refused(is_live: bool) -> None:
    data = make_video(colours(12), 10, container="mkv", is_live=is_live)
    with pytest.raises(MediaTooLarge, match=r"seconds, of at most 11"):
        read_clip(data, DecodeConfig(max_seconds=11, max_steps=2))
    assert read_clip(data, DecodeConfig(max_seconds=12, max_steps=2)).frames is not None


@pytest.mark.parametrize(
    "data", [make_picture(PIXELS), make_video(colours(1))], ids=["picture", "video"]
)
def test_too_many_pixels_are_refused(data: bytes) -> None:
    with pytest.raises(MediaTooLarge, match="96 x 64 is over 6143 pixels"):
        read_clip(data, DecodeConfig(max_pixels=6143))
    assert read_clip(data, DecodeConfig(max_pixels=6144)).frames is not None


def test_a_thread_of_a_picture_is_refused_before_it_is_blown_up() -> None:
    with pytest.raises(MediaError, match="over 16 times"):
        read_clip(make_picture(np.zeros((2, 5000, 3), np.uint8)))


# --- damaged -------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["mkv", "webm"])
def test_a_file_that_breaks_off_counts_for_what_is_there(container: str) -> None:
    data = make_video(colours(6), 10, container=container)
    clip = read_clip(data[: len(data) * 2 // 3], SMALL)
    assert clip.frames is not None
    assert clip.duration_seconds is not None
    assert 1 <= len(clip.frames) < 6
    assert clip.duration_seconds < 6
    assert greys(clip)[0] == 20


def test_damage_in_the_middle_costs_only_what_it_hits() -> None:
    data = bytearray(make_sound(tone(4), container="mp3"))
    middle = len(data) // 2
    data[middle : middle + 500] = np.random.default_rng(0).bytes(500)
    clip = read_clip(bytes(data))
    assert clip.waveform is not None
    assert len(clip.waveform) > 3.5 * SAMPLE_RATE
    heard = tone(4, SAMPLE_RATE)[8000:24_000]
    np.testing.assert_allclose(clip.waveform[8000:24_000], heard, atol=0.05)


def test_what_comes_before_a_fault_in_the_container_counts() -> None:
    data = bytearray(make_sound(tone(4), container="adts", codec="aac"))
    header = data.index(data[:2], len(data) // 2)  # of the frame in the middle
    data[header + 3 : header + 6] = bytes(3)  # now it has a size of 0
    clip = read_clip(bytes(data))
    assert clip.waveform is not None
    assert clip.duration_seconds == pytest.approx(2, abs=0.1)
    assert np.abs(clip.waveform[8000:24_000]).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_a_picture_that_breaks_off_is_refused(format_name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, format=format_name)
    with pytest.raises(MediaError, match="does not decode"):
        read_clip(file.getvalue()[: len(file.getvalue()) // 2])


def test_a_png_whose_pixels_break_the_search_for_exif_is_refused() -> None:
    """Pillow reads a PNG to find its EXIF; it then counts as read, and is black."""
    header = make_picture(np.zeros((8, 8, 3), np.uint8))[:33]
    with pytest.raises(MediaError, match="does not decode"):
        read_clip(header + b"\x7f\xff\xff\xffIDAT" + bytes(100))


def test_a_sound_without_samples_is_refused() -> None:
    data = make_sound(tone(1))
    with pytest.raises(MediaError, match="no picture and no sound in it"):
        read_clip(data[: data.index(b"data") + 8])


def test_a_file_of_which_most_is_damaged_is_refused() -> None:
    rng = np.random.default_rng(0)
    data = bytearray(make_video(rng.integers(0, 256, (40, 64, 96, 3), np.uint8), 10))
    start = data.index(b"mdat") + 4
    data[start : start + 200_000] = rng.bytes(200_000)
    with pytest.raises(MediaError, match="damaged"):
        read_clip(bytes(data))


def test_decoding_needs_no_torch() -> None:
    """Worker processes that only decode should start at once."""
    code = "import sys, model.media; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_sound_keeps_what_its_rate_can_hold() -> None:
    """A tone of 10 kHz is there at 48 kHz, and above what 16 kHz can hold."""
    data = make_sound(tone(1.0, 48_000, 10_000.0), 48_000)
    fine, coarse = (read_clip(data, DecodeConfig(sample_rate=rate)) for rate in (48_000, 16_000))
    assert (fine.sample_rate, coarse.sample_rate) == (48_000, 16_000)
    assert fine.waveform is not None
    assert coarse.waveform is not None
    assert len(fine.waveform) == 3 * len(coarse.waveform) == 48_000
    assert np.sqrt((fine.waveform**2).mean()) == pytest.approx(0.5 / 2**0.5, rel=0.02)
    assert np.abs(coarse.waveform[1000:-1000]).max() < 0.01


@pytest.mark.parametrize("resample", ["bilinear", "bicubic", "lanczos"])
def test_a_squashed_picture_is_a_square_of_all_of_it(resample: str) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (40, 100, 3), np.uint8))
    file = BytesIO()
    image.save(file, "PNG")
    size = {"short_side": 32, "is_squashed": True, "resample": resample}
    config = DecodeConfig.model_validate(size)
    clip = read_clip(file.getvalue(), config)
    assert clip.frames is not None
    expected = image.resize((32, 32), Image.Resampling[resample.upper()])
    np.testing.assert_array_equal(clip.frames[0, 0], np.asarray(expected))


def test_a_squashed_video_shows_both_of_its_edges() -> None:
    frames = np.zeros((10, 40, 80, 3), np.uint8)
    frames[:, :, :8], frames[:, :, -8:] = 255, 255
    clip = read_clip(make_video(frames, 10), DecodeConfig(short_side=40, is_squashed=True))
    assert clip.frames is not None
    assert clip.frames.shape == (1, 1, 40, 40, 3)
    assert clip.frames[0, 0, 20, [1, 20, 38]].mean(-1) == pytest.approx([255, 0, 255], abs=12)
