"""UCF-101 and VGGSound: sixteen classes, seen in one and heard in the other.

Source: Xia et al., NeurIPS 2023 (DCID).
"""

import re
from pathlib import Path

from model.errors import DataError
from model.modality import Modality
from training.data.archives.choices import check_choice
from training.data.archives.feature_store import AUDIO_SHAPE, STEPS, VIDEO_SHAPE, FeatureStore
from training.data.archives.listing import Row, class_index, read_names, read_table
from training.data.archives.zipped_clips import Event, ZippedClip, ZippedClips

FOLDER = Path("data/UCF101")
CLASSES = 16
SPLITS = ("all", "train", "test")
VGGSOUND = Path("data/vggsound40k/feature/audio/zip")
TEST_GROUPS = range(1, 8)  # of UCF-101's first split
GROUP = re.compile(r"_g(\d+)_c\d+$")  # clips of a group are cut from one video


def ucf(root: Path, split: str) -> ZippedClips:
    """Open the videos of UCF-101.

    Args:
        root: Holds ``data/UCF101``.
        split: ``all``, as the paper's protocol has it, or ``train`` or ``test`` of UCF-101's
            first split, which goes by the group in a clip's id.

    Raises:
        ConfigError: There is no such split.
        DataError: A file is missing or malformed.
    """
    check_choice(split, SPLITS, what="split of UCF-101")
    folder = root / FOLDER
    rows = read_table(folder / "data/ucf2vggsound.csv", ("category", "video_id"))
    own, shared = _classes(root)
    return ZippedClips(
        "UCF-101",
        shared,
        (Modality.VIDEO,),
        FeatureStore(folder / "feature/video/zip", VIDEO_SHAPE),
        tuple(_clip(row, own) for row in rows if split == "all" or _ucf_split(row) == split),
    )


def vggsound_ucf(root: Path, split: str) -> ZippedClips:
    """Open the sounds of VGGSound whose class UCF-101 has too.

    Args:
        root: Holds ``data/vggsound40k``, and the lists in ``data/UCF101``.
        split: ``all``, as the paper's protocol has it, ``test`` (VGGSound's) or ``train`` (its
            other two). All may have been seen in pre-training.

    Raises:
        ConfigError: There is no such split.
        DataError: A file is missing or malformed.
    """
    check_choice(split, SPLITS, what="split of VGGSound")
    rows = read_table(root / FOLDER / "data/vggsound2ucf.csv", ("category", "video_id", "split"))
    _, own = _classes(root)
    return ZippedClips(
        "VGGSound (UCF-101's classes)",
        own,
        (Modality.AUDIO,),
        FeatureStore(root / VGGSOUND, AUDIO_SHAPE),
        tuple(_clip(row, own) for row in rows if split == "all" or _vggsound_split(row) == split),
    )


def _classes(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the classes by UCF-101's names and by VGGSound's, line by line the same."""
    folder = root / FOLDER / "data"
    return (
        read_names(folder / "UCF101sameVGGSound.txt", count=CLASSES),
        read_names(folder / "VGGSoundsameUCF101.txt", count=CLASSES),
    )


def _clip(row: Row, classes: tuple[str, ...]) -> ZippedClip:
    label = class_index(classes, row.values["category"], source=row.source)
    return ZippedClip(row.values["video_id"], (Event(label, 0, STEPS),))


def _ucf_split(row: Row) -> str:
    group = GROUP.search(row.values["video_id"])
    if group is None:
        raise DataError(
            f"{row.source}: {row.values['video_id']!r} does not end in a group and a clip, "
            "such as _g01_c01, which the split of UCF-101 needs"
        )
    return "test" if int(group[1]) in TEST_GROUPS else "train"


def _vggsound_split(row: Row) -> str:
    written = row.values["split"]
    if written not in ("train", "val", "test"):
        raise DataError(f"{row.source}: unknown split {written!r}; expected train, val or test")
    return "test" if written == "test" else "train"
