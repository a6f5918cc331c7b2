"""The evaluation's archives below one folder, by the names that the tasks have for them."""

from collections.abc import Callable
from pathlib import Path

from model.modality import Modality
from training.data.archives.ave import ave
from training.data.archives.ave_avvp import ave_of_avvp, avvp_of_ave
from training.data.archives.avvp import avvp
from training.data.archives.captions import clotho, mscoco, msrvtt
from training.data.archives.choices import check_choice
from training.data.archives.ucf_vgg import ucf, vggsound_ucf
from training.data.labelled import CaptionedClips, LabelledClips

LABELLED: dict[str, Callable[[Path, str, Modality], LabelledClips]] = {
    "AVE": lambda root, split, _: ave(root, split),
    "AVVP": lambda root, split, modality: avvp(root, modality, split=split),
    "AVE of AVVP": lambda root, split, _: ave_of_avvp(root, split),
    "AVVP of AVE": lambda root, split, modality: avvp_of_ave(root, modality, split=split),
    "UCF": lambda root, split, _: ucf(root, split),
    "VGGSound": lambda root, split, _: vggsound_ucf(root, split),
}
CAPTIONED: dict[str, Callable[[Path], CaptionedClips]] = {
    "MSCOCO": mscoco,
    "MSR-VTT": msrvtt,
    "Clotho": clotho,
    "Clotho as published": lambda root: clotho(root, as_published=True),
}


class Archives:
    """The archives below ``root``; each is opened when it is asked for.

    Args:
        root: Holds ``data``, laid out as the authors have it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def labelled(self, data: str, split: str, modality: Modality) -> LabelledClips:
        """Return clips that have ``modality``.

        Args:
            data: A name of ``LABELLED``.
            split: ``all``, ``train``, ``validation`` or ``test``; not every data set has each.
            modality: Which clips, where a data set has others for each.

        Raises:
            ConfigError: There is no such data set or split.
            DataError: A file is missing or malformed.
        """
        check_choice(data, LABELLED, what="data set")
        return LABELLED[data](self.root, split, modality)

    def captioned(self, data: str) -> CaptionedClips:
        """Return clips with captions.

        Args:
            data: A name of ``CAPTIONED``.

        Raises:
            ConfigError: There is no such data set.
            DataError: A file is missing or malformed.
        """
        check_choice(data, CAPTIONED, what="data set")
        return CAPTIONED[data](self.root)
