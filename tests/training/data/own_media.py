"""A folder of small media of one's own, with a CSV: whatever can be there or be missing."""

import csv
from pathlib import Path

from tests.media_maker import colours, make_picture, make_sound, make_video, tone

ROWS = [
    # file, caption, label, split
    ("dog.mp4", "a dog barks", "dog", "train"),
    ("dog.mp4", "an animal", "dog", "train"),
    ("silent.mp4", "nothing is heard", "", "train"),
    ("rain.wav", "", "rain", "train"),
    ("still.png", "grey", "", "train"),
    ("damaged.mp4", "a caption of nothing", "", "train"),
    ("absent.mp4", "never there", "", "train"),
    ("later.mp4", "a bird sings", "bird", "val"),
]


def write_media(folder: Path) -> Path:
    """Write it, and return the CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    video = make_video(colours(3), audio=tone(3))
    files = {
        "dog.mp4": video,
        "silent.mp4": make_video(colours(2)),
        "rain.wav": make_sound(tone(5)),
        "still.png": make_picture(colours(1)[0]),
        "damaged.mp4": video[: len(video) // 8],
        "later.mp4": make_video(colours(2), audio=tone(2, hertz=880)),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    path = folder / "clips.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "caption", "label", "split"), *ROWS])
    return path
