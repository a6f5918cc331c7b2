"""What a composed clip holds, read back by the reader that the service uses."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from app.demo.compose import SAMPLE_RATE, SIDE, on_white, read_sound, write_clip, write_still
from model.media import read_clip


def tone(seconds: float) -> np.ndarray:
    steps = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.5 * np.sin(2 * np.pi * 440 * steps)).astype(np.float32)


def sound_file(path: Path, seconds: float) -> Path:
    still = np.zeros((SIDE, SIDE, 3), np.uint8)
    write_clip(path, pictures=[still], sound=tone(seconds))
    return path


def test_a_still_lasts_as_long_as_its_sound(tmp_path: Path) -> None:
    picture = tmp_path / "red.png"
    Image.new("RGB", (40, 20), "red").save(picture)
    sound = sound_file(tmp_path / "sound.mp4", 2.4)
    write_still(tmp_path / "clip.mp4", picture=picture, sound=sound)
    with av.open(str(tmp_path / "clip.mp4")) as file:
        seconds = [stream.duration * stream.time_base for stream in file.streams]
    assert [float(own) for own in seconds] == pytest.approx([2.4, 2.4], abs=0.25)  # whole pictures
    clip = read_clip(tmp_path / "clip.mp4")
    assert clip.frames is not None
    assert clip.waveform is not None
    assert len(clip.frames) == 3
    red, green, blue = clip.frames[0, 0, 128, 128]
    assert red > 200
    assert max(green, blue) < 60
    assert np.sqrt(np.mean(clip.waveform**2)) == pytest.approx(0.5 / np.sqrt(2), abs=0.02)


def test_a_short_sound_is_shown_for_a_second(tmp_path: Path) -> None:
    picture = tmp_path / "red.png"
    Image.new("RGB", (40, 20), "red").save(picture)
    sound = sound_file(tmp_path / "sound.mp4", 0.2)
    write_still(tmp_path / "clip.mp4", picture=picture, sound=sound)
    assert read_clip(tmp_path / "clip.mp4").duration_seconds == pytest.approx(1, abs=0.1)


def test_what_is_transparent_is_white_and_nothing_is_cut_off(tmp_path: Path) -> None:
    stamp = Image.new("RGBA", (400, 100), (0, 0, 0, 0))
    stamp.paste((0, 0, 255, 255), (0, 0, 100, 100))
    stamp.paste((0, 0, 255, 255), (300, 0, 400, 100))
    stamp.save(tmp_path / "stamp.png")
    canvas = on_white(tmp_path / "stamp.png")
    middle = canvas[SIDE // 2]
    assert canvas.shape == (SIDE, SIDE, 3)
    assert middle[0].tolist() == middle[SIDE // 2].tolist() == [255, 255, 255]
    assert middle[SIDE // 8].tolist() == middle[-SIDE // 8].tolist() == [0, 0, 255]


def test_a_sound_keeps_its_pitch(tmp_path: Path) -> None:
    heard = read_sound(sound_file(tmp_path / "sound.mp4", 1.0))
    spectrum = np.abs(np.fft.rfft(heard))
    assert spectrum.argmax() * SAMPLE_RATE / len(heard) == pytest.approx(440, abs=3)
