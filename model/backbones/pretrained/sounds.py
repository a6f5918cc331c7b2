"""Networks for sound: a vector for each second of what they hear in one window.

Shape letters: N windows, T seconds of one clip, t seconds of one window, C columns of a window (the
network's own steps in time), F features, S samples.
"""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torchaudio.transforms import MelSpectrogram

from model.backbones.base import sound_by_second
from model.backbones.pretrained.tower import Tower
from model.config import MelConfig, SoundInput, TowerConfig
from model.media import Clip
from model.modality import Modality


class SoundTower(Tower):
    """A network that hears a window of seconds, and tells them apart in its columns."""

    modality = Modality.AUDIO

    def __init__(self, config: TowerConfig, folder: Path) -> None:
        super().__init__(config, folder)
        self.input = cast("SoundInput", config.input)
        self.sample_rate = self.input.sample_rate
        self.window_seconds = self.input.window_seconds

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return ``[T, sample_rate]``; after the end of the sound NaN, which is no silence.

        Raises:
            MediaError: There is no sound.
            ShapeError: It was decoded to another rate.
        """
        return sound_by_second(item, rate=self.sample_rate, rest=torch.nan)

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``[T, F]`` for the seconds ``[T, sample_rate]`` of one clip."""
        return self.extract([steps])[0]

    @torch.inference_mode()
    def extract(self, items: Sequence[Tensor]) -> list[Tensor]:
        """Return ``[T, F]`` for the seconds ``[T, sample_rate]`` of each clip."""
        windows = [window for item in items for window in item.split(self.window_seconds)]
        sounds = [window.flatten() for window in windows]
        sounds = [sound[~sound.isnan()] for sound in sounds]
        columns = super().forward(torch.stack([self.prepared(sound) for sound in sounds]))
        found = [
            self.heard(self._by_second(own, len(window), len(sound) / self.sample_rate))
            for own, window, sound in zip(columns, windows, sounds, strict=True)
        ]
        return list(torch.cat(found).split([len(item) for item in items]))

    @abstractmethod
    def prepared(self, sound: Tensor) -> Tensor:
        """Return what the network takes of the sound ``[S]`` of a window; always of one shape."""

    def heard(self, seconds: Tensor) -> Tensor:
        """Return the vectors ``[t, F]`` of seconds, from the means ``[t, F']`` of their columns."""
        return seconds.float()

    def column_times(self, count: int) -> Tensor:
        """Return the second of the window that each of ``count`` columns lies at, ``[C]``."""
        return (torch.arange(count) + 0.5) / count * self.window_seconds

    def shown_times(self, times: Tensor, seconds: float) -> Tensor:
        """Return the second of a sound of ``seconds`` that is heard at ``times`` of the window."""
        return times

    def _by_second(self, columns: Tensor, count: int, seconds: float) -> Tensor:
        """Return the means ``[t, F']`` of the columns ``[C, F']`` of each of ``count`` seconds."""
        times = self.shown_times(self.column_times(len(columns)), seconds).to(columns.device)
        own = times.floor() == torch.arange(count, device=columns.device)[:, None]  # [t, C]
        return (own / own.sum(1, keepdim=True)) @ columns


def mel_spectrogram(own: SoundInput) -> MelSpectrogram:
    """Return what turns sound ``[S]`` into energies ``[bands, frames]``, in Slaney's mel scale."""
    mel = cast("MelConfig", own.mel)
    return MelSpectrogram(
        own.sample_rate,
        n_fft=mel.fft,
        hop_length=mel.hop,
        f_min=mel.lowest,
        f_max=mel.highest,
        n_mels=mel.bands,
        norm="slaney",
        mel_scale="slaney",
    )
