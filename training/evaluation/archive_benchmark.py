"""The published archives as a benchmark: the paper's own tasks, on the data sets that are there."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from model.config import SRCIDConfig
from model.encoder import load_backbone
from model.errors import DataError
from model.modality import Modality
from training.data.archives.ave import ave
from training.data.archives.ave_avvp import ave_of_avvp, avvp_of_ave
from training.data.archives.avvp import avvp
from training.data.archives.captions import clotho, mscoco, msrvtt
from training.data.archives.ucf_vgg import ucf, vggsound_ucf
from training.data.archives.vggsound_avel import BACKBONES, SHAPES
from training.data.labelled import CaptionedClips, LabelledClips
from training.evaluation.tasks import PAPER, PairedClips, RetrievalTask, Side, Suite

SENTENCES = 64  # that go through the text backbone at once
NEEDED = {  # of each family, the folders that hold it
    "AVE": ("AVE-ECCV18-master",),
    "AVVP": ("AVVP",),
    "AVE>AVVP": ("AVE_AVVP", "AVE-ECCV18-master", "AVVP"),
    "UCF(v)<>VGG(a)": ("UCF101", "vggsound40k"),
    "MSCOCO": ("MSCOCO",),
    "MSR-VTT": ("MSRVTT",),
    "Clotho": ("clotho2.1",),
    "Clotho, as published": ("clotho2.1",),
}


class ArchiveBenchmark:
    """The archives below a root, read clip by clip.

    Args:
        root: Holds ``data/AVE-ECCV18-master``, ``data/AVVP`` and so on.
        config: The network whose features they are; its text backbone reads the sentences.

    Raises:
        DataError: The network takes features of other backbones.
    """

    def __init__(self, root: Path, config: SRCIDConfig) -> None:
        _check_backbones(root, config)
        self.root = root
        self.missing = _missing(root)  # families, in the order of the tables
        self.suite = _without(PAPER, self.missing)
        self._backbone = load_backbone(config, Modality.TEXT)
        self._features: dict[str, Tensor] = {}  # of sentences that were asked for

    def labelled(self, side: Side) -> LabelledClips:
        """Return one data set and split."""
        data, split, modality = side
        if data == "AVE":
            return ave(self.root, split)
        if data == "AVVP":
            return avvp(self.root, modality, split)
        if data == "UCF":
            return ucf(self.root, split)
        if data == "VGGSound":
            return vggsound_ucf(self.root, split)
        assert split == "all"
        if data == "AVE of AVVP":
            return ave_of_avvp(self.root)
        assert data == "AVVP of AVE"
        return avvp_of_ave(self.root, modality)

    def captioned(self, task: RetrievalTask) -> CaptionedClips:
        """Return the pictures, videos or sounds of ``task``."""
        if task.family == "MSCOCO":
            return mscoco(self.root)
        if task.family == "MSR-VTT":
            return msrvtt(self.root)
        return clotho(self.root, as_published=task.family == "Clotho, as published")

    def words(self, sentences: Sequence[str]) -> list[Tensor]:
        """Return the features of the checkpoint's text backbone; a sentence is read once."""
        new = [own for own in dict.fromkeys(sentences) if own not in self._features]
        for first in range(0, len(new), SENTENCES):
            group = new[first : first + SENTENCES]
            found = self._backbone.extract([self._backbone.preprocess(own) for own in group])
            # Cloned, so that a sentence does not keep its whole group.
            self._features |= {own: x.clone() for own, x in zip(group, found, strict=True)}
        return [self._features[own] for own in sentences]

    def paired(self) -> PairedClips:
        """Return AVE's test clips, seen and heard; without AVE there are none."""
        if "AVE" in self.missing:
            return []
        clips = ave(self.root, "test")
        return [{m: clips.features(n, m) for m in clips.modalities} for n in range(len(clips))]


def holds_archives(root: Path) -> bool:
    """Tell whether ``root`` has any data set that is evaluated on."""
    return len(_missing(root)) < len(NEEDED)


def _missing(root: Path) -> tuple[str, ...]:
    return tuple(
        family
        for family, folders in NEEDED.items()
        if not all((root / "data" / name).is_dir() for name in folders)
    )


def _without(suite: Suite, families: Sequence[str]) -> Suite:
    return Suite(
        suite.name,
        tuple(task for task in suite.tasks if task.family not in families),
        tuple(task for task in suite.retrieval if task.family not in families),
    )


def _check_backbones(root: Path, config: SRCIDConfig) -> None:
    for m, backbone in BACKBONES.items():
        own = config.modalities.get(m)
        if own is None or (own.backbone, own.feature_shape) != (backbone, SHAPES[m]):
            takes = "none" if own is None else f"those of {own.backbone} {own.feature_shape}"
            raise DataError(
                f"{root} holds {m} features of {backbone} {SHAPES[m]}, but the checkpoint takes "
                f"{takes}: name a checkpoint of one of the paper's recipes"
            )
    if Modality.TEXT not in config.modalities:
        raise DataError(f"{root}: the archives' tasks need a checkpoint that takes text")
