"""AVE to AVVP: the twelve classes that the two data sets share.

Source: Xia et al., NeurIPS 2023 (DCID).
"""

from pathlib import Path

from model.modality import Modality
from training.data.archives.ave import AVEClips, open_ave
from training.data.archives.avvp import KINDS, open_avvp, read_clips
from training.data.archives.listing import read_names
from training.data.archives.zipped_clips import ZippedClips

FOLDER = Path("data/AVE_AVVP")
CLASSES = 12


def ave_of_avvp(root: Path) -> AVEClips:
    """Open the clips of AVE that show a class which AVVP has too.

    Args:
        root: Holds ``data/AVE_AVVP`` and ``data/AVE-ECCV18-master``.

    Raises:
        DataError: A file is missing or damaged, or two do not fit.
    """
    folder = root / FOLDER
    return open_ave(
        root,
        name="AVE (AVVP's classes)",
        classes=_classes(root),
        labels=folder / "ave_avvp_labels.h5",
        order=folder / "ave_avvp_order.h5",
    )


def avvp_of_ave(root: Path, modality: Modality) -> ZippedClips:
    """Open the clips of AVVP in which a class is heard (audio) or seen (video) that AVE has too.

    Args:
        root: Holds ``data/AVE_AVVP`` and ``data/AVVP``.
        modality: Audio or video; each has clips of its own.

    Raises:
        DataError: A file is missing or malformed.
    """
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
