"""Which clips make up which batch: the same for every number of ranks and every interruption."""

from functools import partial

from torch.utils.data import DataLoader

from model.errors import ConfigError
from training.config import TrainConfig
from training.data.archives.vggsound_avel import VGGSoundClips
from training.data.clips import ComposedClips
from training.data.extracted_clips import ExtractedClips
from training.data.named import NamedClips
from training.data.sample import Sample, collate
from training.data.scenes.clips import SceneClips
from training.distributed import num_ranks, rank


class Batches:
    """The batches of a run, each rank's slice of them.

    Batch n of an epoch holds its clips n * size to (n + 1) * size - 1; what is left over at the
    end of the epoch is not used. So where a run is, is told by how many batches were taken.

    Raises:
        ConfigError: The batches cannot be made, or cannot be shared out evenly among the ranks.
    """

    def __init__(
        self,
        clips: ComposedClips | NamedClips | ExtractedClips | SceneClips | VGGSoundClips,
        config: TrainConfig,
        *,
        pin_memory: bool,
    ) -> None:
        self.clips, self.config, self.pin_memory = clips, config, pin_memory
        self.size = config.batch_size
        self.epoch_steps = len(clips) // self.size
        if not self.epoch_steps:
            raise ConfigError(
                f"batch_size {self.size} exceeds the {len(clips)} clips of an epoch: lower it, "
                "or raise data.clips_per_epoch"
            )
        if self.size % num_ranks():
            raise ConfigError(
                f"batch_size {self.size} is not divisible by {num_ranks()} processes: choose a "
                "multiple (it counts the clips of all processes together)"
            )

    def epoch(self, epoch: int, *, start: int) -> DataLoader[Sample]:
        """Return the batches of ``epoch`` from batch ``start`` on."""
        self.clips.epoch = epoch
        own = self.size // num_ranks()
        firsts = [n * self.size + rank() * own for n in range(start, self.epoch_steps)]
        return DataLoader(
            self.clips,
            batch_sampler=[list(range(first, first + own)) for first in firsts],
            collate_fn=partial(collate, model=self.config.model, data=self.config.data),
            pin_memory=self.pin_memory,
        )
