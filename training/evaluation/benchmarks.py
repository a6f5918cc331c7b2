"""The benchmarks that a folder may hold: composed scenes, or the published archives."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from model.config import SRCIDConfig
from model.errors import DataError
from model.modality import Modality
from training.data.labelled import CaptionedClips, LabelledClips
from training.data.scenes.clips import Scenes, open_scenes
from training.data.scenes.folder import check_backbones, is_scenes
from training.evaluation.archive_benchmark import ArchiveBenchmark, holds_archives
from training.evaluation.tasks import SCENES, EvaluationData, PairedClips, RetrievalTask, Side


class SceneBenchmark:
    """Composed scenes."""

    suite = SCENES
    missing: tuple[str, ...] = ()

    def __init__(self, scenes: Scenes) -> None:
        self.scenes = scenes

    def labelled(self, side: Side) -> LabelledClips:
        """Return one set and split."""
        return self.scenes.labelled(side.data, side.split)

    def captioned(self, task: RetrievalTask) -> CaptionedClips:
        """Return the scenes of `many` of the test split."""
        return self.scenes.captioned(task.modality)

    def words(self, sentences: Sequence[str]) -> list[Tensor]:
        """Return the features that lie in the folder."""
        return [self.scenes.words(sentence) for sentence in sentences]

    def paired(self) -> PairedClips:
        """Return the scenes of `single` of the test split: one event, seen, heard and named."""
        features = self.scenes.features("single", "test")
        return [
            {m: own[n] for m, own in features.items()}
            | {Modality.TEXT: self.scenes.words(scene.captions.whole[0])}
            for n, scene in enumerate(self.scenes.select("single", "test"))
        ]


def open_benchmark(folder: Path, config: SRCIDConfig) -> EvaluationData:
    """Open the benchmark in ``folder`` for a checkpoint of ``config``.

    Raises:
        DataError: There is none, it is damaged, or it holds features of other backbones.
    """
    if is_scenes(folder):
        check_backbones(folder, config)
        return SceneBenchmark(open_scenes(folder))
    if holds_archives(folder):
        return ArchiveBenchmark(folder, config)
    raise DataError(
        f"{folder} has no benchmark: name a folder that `srcid scenes` wrote, or the root of the "
        "published archives, which has a folder `data` (docs/datasets.md)"
    )


def is_benchmark(folder: Path) -> bool:
    """Tell whether ``open_benchmark`` finds one in ``folder``; a bank is none."""
    return is_scenes(folder) or holds_archives(folder)
