"""A made-up bank of six classes with both splits, and how many tiny scenes are made of it."""

import csv
from pathlib import Path

import numpy as np

from tests.media_maker import make_picture, make_sound, tone
from training.data.scenes.script import Counts, ScenesConfig

CLASSES = ("ash", "birch", "cedar", "dogwood", "elm", "fir")
ITEMS = {"train": 5, "test": 2}  # of each class and modality
COUNTS = {
    "single": Counts(train=4, validation=4, test=4),
    "many": Counts(train=6, validation=2, test=6),
    "cuts": Counts(train=2, test=2),
    "sounds": Counts(train=2, test=2),
}
SMALL = ScenesConfig(counts=COUNTS, groups=2, group_size=2, paraphrases=2)


def write_bank(folder: Path) -> Path:
    """Write a picture, a tone and a sentence for each item; each differs from all others."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, label in enumerate(CLASSES):
        for split, count in ITEMS.items():
            for item in range(count):
                name = f"{label}-{split}-{item}"
                draw = np.random.default_rng((number, len(split), item))
                pixels = 40 + 35 * number + draw.integers(-40, 40, (40, 60, 3))
                picture = make_picture(pixels.astype(np.uint8))
                sound = make_sound(tone(1.5, rate=16_000, hertz=300 + 200 * number + 20 * item))
                (folder / f"{name}.png").write_bytes(picture)
                (folder / f"{name}.wav").write_bytes(sound)
                rows += [
                    (f"{name}.png", "image", label, split, ""),
                    (f"{name}.wav", "audio", label, split, ""),
                    (
                        f"text:{name}",
                        "text",
                        label,
                        split,
                        f"The {label} number {item} of {split}.",
                    ),
                ]
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "modality", "class", "split", "text"), *rows])
    return folder
