"""Drawings move, sound different from each other, and are told apart by name."""

from pathlib import Path

import numpy as np

from app.demo.drawn import DRAWINGS, SECONDS, write_drawing
from model.media import read_clip


def test_a_drawing_moves_over_its_tone(tmp_path: Path) -> None:
    write_drawing(tmp_path / "clip.mp4", DRAWINGS[0])
    clip = read_clip(tmp_path / "clip.mp4")
    assert clip.frames is not None
    assert clip.waveform is not None
    assert len(clip.frames) == SECONDS
    first, last = clip.frames[0, 0].astype(int), clip.frames[-1, 0].astype(int)
    assert np.abs(first - last).max() > 100
    assert np.abs(clip.waveform).max() > 0.2


def test_names_and_sentences_tell_drawings_apart() -> None:
    assert len({drawing.name for drawing in DRAWINGS}) == len(DRAWINGS)
    assert len({drawing.sentence for drawing in DRAWINGS}) == len(DRAWINGS)
