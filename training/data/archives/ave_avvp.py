"""AVE to AVVP: the twelve classes that the two data sets share.

Source: Xia et al., NeurIPS 2023 (DCID).
"""

from pathlib import Path

from model.modality import Modality
from training.data.archives.ave import AVEClips, open_ave
from training.data.archives.avvp import KINDS, open_avvp, read_clips
from training.data.archives.choices import check_choice
from training.data.archives.listing import read_names
from training.data.archives.zipped_clips import ZippedClips

FOLDER = Path("data/AVE_AVVP")
CLASSES = 12


def ave_of_avvp(root: Path, split: str) -> AVEClips:
    """Open the clips of AVE that show a class which AVVP has too.

    Args:
        root: Holds ``data/AVE_AVVP`` and ``data/AVE-ECCV18-master``.
        split: ``all``; there are no others, since it is trained on alone.

    Raises:
        ConfigError: There is no such split.
        DataError: A file is missing or damaged, or two do not fit.
    """
    check_choice(split, ("all",), what="split of AVE with AVVP's classes")
    folder = root / FOLDER
    return open_ave(
        root,
        name="AVE (AVVP's classes)",
        classes=_classes(root),
        labels=folder / "ave_avvp_labels.h5",
        order=folder / "ave_avvp_order.h5",
    )


def avvp_of_ave(root: Path, modality: Modality, *, split: str) -> ZippedClips:
    """Open the clips of AVVP in which a class is heard (audio) or seen (video) that AVE has too.

    Args:
        root: Holds ``data/AVE_AVVP`` and ``data/AVVP``.
        modality: Audio or video; each has clips of its own.
        split: ``all``; there are no others, since it is tested on alone.

    Raises:
        ConfigError: There is no such split.
        DataError: A file is missing or malformed.
    """
    check_choice(split, ("all",), what="split of AVVP with AVE's classes")
    classes = _classes(root)
    table = root / FOLDER / f"AVE_AVVP_eval_{KINDS[modality]}_checked_combined.csv"
    return open_avvp(
        root,
        modality,
        name="AVVP (AVE's classes)",
        classes=classes,
        clips=read_clips(table, classes),
    )


def _classes(root: Path) -> tuple[str, ...]:
    return read_names(root / FOLDER / "AVE_AVVP_Categories.txt", count=CLASSES)
