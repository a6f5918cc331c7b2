"""Generated clips for machines without Debian packages: shapes moving over tones."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from app.demo.compose import PICTURES_PER_SECOND, SAMPLE_RATE, SIDE, write_clip

SECONDS = 4
COLOURS = ("red", "green", "blue", "yellow")
SHAPES = {"circle": 64, "square": 4, "triangle": 3}  # corners
TONES = {"low": 220.0, "high": 880.0}  # Hz


class Drawing(NamedTuple):
    """The content of one clip."""

    colour: str
    shape: str
    tone: str

    @property
    def name(self) -> str:
        """A unique name."""
        return f"{self.colour}-{self.shape}-{self.tone}"

    @property
    def sentence(self) -> str:
        """The clip in words."""
        return f"A {self.colour} {self.shape} moves over a {self.tone} tone."


DRAWINGS = tuple(Drawing(*choice) for choice in product(COLOURS, SHAPES, TONES))


def write_drawing(path: Path, drawing: Drawing) -> None:
    """Write the mp4 of one drawing, ``SECONDS`` long."""
    write_clip(path, pictures=_pictures(drawing), sound=_tone(TONES[drawing.tone]))


def _pictures(drawing: Drawing) -> Iterator[NDArray[np.uint8]]:
    count = SECONDS * PICTURES_PER_SECOND
    for centre in np.linspace(0.3, 0.7, count) * SIDE:
        image = Image.new("RGB", (SIDE, SIDE), "white")
        circle = (float(centre), SIDE / 2, SIDE / 4)  # x, y, radius
        ImageDraw.Draw(image).regular_polygon(circle, SHAPES[drawing.shape], fill=drawing.colour)
        yield np.asarray(image)


def _tone(frequency: float) -> NDArray[np.float32]:
    """Return a tone that rises and falls once a second, ``[SECONDS * SAMPLE_RATE]``."""
    seconds = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    loudness = 0.5 * np.sin(np.pi * seconds) ** 2
    return (loudness * np.sin(2 * np.pi * frequency * seconds)).astype(np.float32)
