"""Scenes as media files: what is decoded from them is what was composed."""

from pathlib import Path

import numpy as np
import pytest

from model.media import SAMPLE_RATE, read_clip
from training.data.scenes.compose import compose
from training.data.scenes.material import Material
from training.data.scenes.script import SECONDS, SETS, Scene
from training.data.scenes.video import write_scene


@pytest.mark.parametrize("name", SETS)
def test_a_video_reads_back_as_its_scene(
    scenes: list[Scene], material: Material, tmp_path: Path, name: str
) -> None:
    scene = next(scene for scene in scenes if scene.set == name)
    write_scene(tmp_path / "scene.mp4", scene, material)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.mp4"]
    composed, decoded = compose(scene, material), read_clip(tmp_path / "scene.mp4")
    assert decoded.duration_seconds == pytest.approx(SECONDS, abs=0.1)
    assert (decoded.frames is None) == (composed.frames is None)
    assert (decoded.waveform is None) == (composed.waveform is None)
    if composed.frames is not None and decoded.frames is not None:
        assert decoded.frames.shape == composed.frames.shape
        # Noise does not survive compression; what is seen in 16 x 16 pixels does.
        one, other = (
            frames.reshape(SECONDS, 16, 16, 16, 16, 3).mean((2, 4))
            for frames in (composed.frames, decoded.frames)
        )
        np.testing.assert_allclose(other, one, atol=8)
    if composed.waveform is not None and decoded.waveform is not None:
        count = min(len(composed.waveform), len(decoded.waveform), 9 * SAMPLE_RATE)
        one, other = composed.waveform[:count], decoded.waveform[:count]
        assert np.corrcoef(one, other)[0, 1] > 0.9
