"""AST, the audio spectrogram transformer: sounds, without any text.

Source: Gong et al., Interspeech 2021.
"""

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from torchaudio.compliance import kaldi

from model.backbones.pretrained.loading import read_config, read_numbers
from model.backbones.pretrained.sounds import SoundTower
from model.config import MelConfig, SoundInput, TowerConfig
from model.errors import ConfigError

FRAMES_PER_SECOND = 100
PATCH = 16  # frames and bands that a patch covers
TOKENS = 2  # before the patches: of the class, and of the distillation


class AstSounds(SoundTower):
    """A vector a second: the mean of the patches that lie in it."""

    model_class = "ASTModel"
    output = "last"

    def __init__(self, config: TowerConfig, folder: Path) -> None:
        super().__init__(config, folder)
        self.mel = cast("MelConfig", self.input.mel)
        self.stride: int = self.model.config.time_stride

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        config, found = read_config(folder), read_numbers(folder, "feature_extractor")
        rate, frames = found.get("sampling_rate", 16_000), found.get("max_length", 1024)
        if not found.get("do_normalize", True) or frames < FRAMES_PER_SECOND:
            raise ConfigError(
                f"{folder} takes spectrograms that are not normalised, or of under a second: "
                "take an AST as it was published, such as MIT/ast-finetuned-audioset-10-10-0.4593"
            )
        mel = MelConfig(
            bands=found.get("num_mel_bins", 128),
            fft=512,
            hop=rate // FRAMES_PER_SECOND,
            lowest=20,
            highest=rate / 2,
            frames=frames,
            mean=found.get("mean", -4.2677393),
            std=found.get("std", 4.5689974),
        )
        seconds = frames // FRAMES_PER_SECOND
        own = SoundInput(sample_rate=rate, window_seconds=seconds, mel=mel)
        return {"dim": config.hidden_size, "input": own}

    def prepared(self, sound: Tensor) -> Tensor:
        """Return ``[frames, bands]``: log-mel energies as Kaldi has them, zero after the sound."""
        samples = max(len(sound), self.sample_rate // 40)  # one frame at least
        bands = kaldi.fbank(
            F.pad(sound, (0, samples - len(sound)))[None],
            sample_frequency=self.sample_rate,
            window_type="hanning",
            num_mel_bins=self.mel.bands,
            low_freq=self.mel.lowest,
            high_freq=self.mel.highest,
        )[: self.mel.frames]
        bands = F.pad(bands, (0, 0, 0, self.mel.frames - len(bands)))
        return (bands - self.mel.mean) / (2 * self.mel.std)

    def vectors(self, batch: Tensor) -> Tensor:
        """Return ``[N, C, F]``, means over the bands of frequency."""
        patches = self.model(input_values=batch.to(self.dtype)).last_hidden_state[:, TOKENS:]
        return patches.unflatten(1, (-1, self._count())).mean(1)

    def column_times(self, count: int) -> Tensor:
        """Return the middles of the patches in seconds, ``[C]``."""
        return (torch.arange(count) * self.stride + PATCH / 2) / FRAMES_PER_SECOND

    def _count(self) -> int:
        return (self.mel.frames - PATCH) // self.stride + 1
