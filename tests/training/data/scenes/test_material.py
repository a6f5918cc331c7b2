"""Photos and recordings out of a bank; sounds without their silences."""

from pathlib import Path

import numpy as np
import pytest

from model.errors import DataError
from model.media import SAMPLE_RATE
from tests.media_maker import make_sound, tone
from training.data.scenes.material import BLOCKS, PAUSE, Material, without_silence

SECOND = SAMPLE_RATE


def test_silence_at_the_ends_and_long_pauses_go() -> None:
    bark = tone(0.5, rate=SECOND)
    quiet = np.zeros(2 * SECOND, np.float32)
    found = without_silence(np.concatenate((quiet, bark, quiet, bark, quiet)), rate=SAMPLE_RATE)
    pause = np.zeros(PAUSE * SAMPLE_RATE // BLOCKS, np.float32)
    np.testing.assert_array_equal(found, np.concatenate((bark, pause, bark, pause)))


def test_a_sound_without_pauses_stays_as_it_is() -> None:
    hum = tone(2, rate=SECOND)
    np.testing.assert_array_equal(without_silence(hum, rate=SAMPLE_RATE), hum)


def test_a_recording_of_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "quiet.wav").write_bytes(make_sound(np.zeros(SECOND, np.float32), rate=SECOND))
    with pytest.raises(DataError, match=r"quiet\.wav: it is silent"):
        Material(tmp_path).recording("quiet.wav")


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "sound.wav").write_bytes(make_sound(tone(1, rate=SECOND), rate=SECOND))
    with pytest.raises(DataError, match=r"broken\.png"):
        Material(tmp_path).photo("broken.png")
    with pytest.raises(DataError, match=r"sound\.wav: it has no picture"):
        Material(tmp_path).photo("sound.wav")
