"""Write a small bank to train on, for who has none at hand: coloured shapes, tones, sentences.

    python examples/make_a_bank.py my-bank

The same every time. It shows what a bank looks like, and is what `make smoke` trains on; its six
classes are too easy to tell anything about a method.
"""

import csv
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = {  # colour, corners (64: a circle), Hz
    "circle": ("red", 64, 200),
    "square": ("green", 4, 320),
    "triangle": ("blue", 3, 500),
    "pentagon": ("yellow", 5, 800),
    "hexagon": ("purple", 6, 1300),
    "bar": ("black", 2, 2100),
}
ITEMS = {"train": 24, "test": 8}  # photos and sounds of each class
SENTENCES = {
    "train": ("a {colour} {name}", "there is a {name}", "the {name} is {colour}", "one {name}"),
    "test": ("this {name} looks {colour}", "we see a {name}"),
}
SECONDS, RATE, SIDE = 4, 16_000, 128

Row = tuple[str, str, str, str, str]  # id, modality, class, split, text


def main(folder: str) -> None:
    bank = Path(folder)
    bank.mkdir(parents=True, exist_ok=True)
    rows = [row for name in CLASSES for split in ITEMS for row in _items(bank, name, split)]
    with (bank / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "modality", "class", "split", "text"), *rows])
    print(f"{len(rows)} items of {len(CLASSES)} classes in {bank}")


def _items(bank: Path, name: str, split: str) -> Iterator[Row]:
    colour, corners, hertz = CLASSES[name]
    for number in range(ITEMS[split]):
        item_id = f"{name}-{split}-{number:02}"
        draw = np.random.default_rng([corners, len(split), number])
        _picture(draw, colour, corners).save(bank / f"{item_id}.png")
        yield f"{item_id}.png", "image", name, split, ""
        _write_tone(bank / f"{item_id}.wav", draw, hertz)
        yield f"{item_id}.wav", "audio", name, split, ""
    for number, sentence in enumerate(SENTENCES[split]):
        text = sentence.format(colour=colour, name=name)
        yield f"text:{name}-{split}-{number}", "text", name, split, text


def _picture(draw: np.random.Generator, colour: str, corners: int) -> Image.Image:
    """Return the shape somewhere on a light ground."""
    image = Image.new("RGB", (SIDE, SIDE), tuple(int(each) for each in draw.integers(200, 256, 3)))
    x, y = draw.uniform(0.4, 0.6, 2) * SIDE
    radius = draw.uniform(0.2, 0.35) * SIDE
    if corners > 2:
        ImageDraw.Draw(image).regular_polygon((x, y, radius), corners, fill=colour)
    else:
        ImageDraw.Draw(image).rectangle((x - radius, y - 8, x + radius, y + 8), fill=colour)
    return image


def _write_tone(path: Path, draw: np.random.Generator, hertz: float) -> None:
    """Write a tone near ``hertz``, over a little noise, as a wav of 16 bits."""
    time = np.arange(SECONDS * RATE) / RATE
    tone = np.sin(2 * np.pi * hertz * draw.uniform(0.95, 1.05) * time)
    samples = draw.uniform(0.2, 0.5) * tone + draw.normal(0, 0.01, len(time))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
