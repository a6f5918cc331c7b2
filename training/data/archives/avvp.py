"""AVVP (LLP): what is seen and what is heard, each with its own seconds.

Source: Tian et al., ECCV 2020; annotations as the authors of DCID combined them.
"""

import hashlib
from pathlib import Path

from model.errors import DataError
from model.modality import Modality
from training.data.archives.choices import check_choice
from training.data.archives.feature_store import AUDIO_SHAPE, STEPS, VIDEO_SHAPE, FeatureStore
from training.data.archives.listing import Row, class_index, read_names, read_table
from training.data.archives.zipped_clips import Event, ZippedClip, ZippedClips

FOLDER = Path("data/AVVP")
CLASSES = 25
COLUMNS = ("filename", "event_labels", "onset", "offset")
ID_LENGTH = 11  # of a YouTube id; the seconds that follow in `filename` are not in the file's name
KINDS = {Modality.AUDIO: "audio", Modality.VIDEO: "visual"}  # as the tables are called
SHAPES = {Modality.AUDIO: AUDIO_SHAPE, Modality.VIDEO: VIDEO_SHAPE}


def avvp(root: Path, modality: Modality, split: str) -> ZippedClips:
    """Open the clips in which something is heard (audio), or seen (video).

    The two are not the same clips: each has a table of its own.

    Args:
        root: Holds ``data/AVVP``.
        modality: Audio or video.
        split: ``all``, as the paper's protocol has it, or ``train`` or ``test``: the archive has
            no splits, these are halves by the hash of the video's id, so that no video is in
            both, in whichever modality.

    Raises:
        ConfigError: There is no such split.
        DataError: A file is missing or malformed.
    """
    check_choice(split, ("all", "train", "test"), what="split of AVVP")
    folder = root / FOLDER / "data"
    classes = read_names(folder / "AVVP_Categories.txt", count=CLASSES)
    clips = read_clips(folder / f"AVVP_eval_{KINDS[modality]}_checked_combined.csv", classes)
    own = tuple(clip for clip in clips if split in ("all", half(clip.id)))
    return open_avvp(root, modality, name="AVVP", classes=classes, clips=own)


def open_avvp(
    root: Path,
    modality: Modality,
    *,
    name: str,
    classes: tuple[str, ...],
    clips: tuple[ZippedClip, ...],
) -> ZippedClips:
    """Join ``clips`` with their features.

    Raises:
        DataError: Files of features are missing.
    """
    store = FeatureStore(root / FOLDER / "feature" / modality / "zip", SHAPES[modality])
    return ZippedClips(name, classes, (modality,), store, clips)


def half(clip: str) -> str:
    """Return the half that a clip belongs to."""
    return "train" if hashlib.sha256(clip.encode()).digest()[0] % 2 else "test"


def read_clips(path: Path, classes: tuple[str, ...]) -> tuple[ZippedClip, ...]:
    """Return the clips of a table of annotations.

    Args:
        path: Separated by tabs; the columns but ``filename`` are lists, an event an entry.
        classes: What may happen.

    Raises:
        DataError: A row is malformed.
    """
    return tuple(_clip(row, classes) for row in read_table(path, COLUMNS, delimiter="\t"))


def _clip(row: Row, classes: tuple[str, ...]) -> ZippedClip:
    labels, onsets, offsets = (row.values[name].split(",") for name in COLUMNS[1:])
    if not len(labels) == len(onsets) == len(offsets):
        raise DataError(
            f"{row.source}: {len(labels)} labels, {len(onsets)} onsets and {len(offsets)} offsets; "
            "each event needs one of each"
        )
    events = []
    for label, onset, offset in zip(labels, onsets, offsets, strict=True):
        first, end = _second(row, onset), _second(row, offset)
        if first >= end:
            raise DataError(f"{row.source}: {label} ends at {end}, but begins at {first}")
        events.append(Event(class_index(classes, label, source=row.source), first, end))
    return ZippedClip(row.values["filename"][:ID_LENGTH], tuple(events))


def _second(row: Row, text: str) -> int:
    if not text.strip().isdecimal() or int(text) > STEPS:
        raise DataError(f"{row.source}: {text!r} is not a second from 0 to {STEPS}")
    return int(text)
