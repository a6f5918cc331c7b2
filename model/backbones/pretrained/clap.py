"""CLAP: sounds and sentences in one space.

Source: Wu et al., ICASSP 2023 (the models without fusion).
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchaudio.transforms import AmplitudeToDB

from model.backbones.pretrained.loading import read_config, read_numbers
from model.backbones.pretrained.sounds import SoundTower, mel_spectrogram
from model.backbones.pretrained.texts import SentenceTower
from model.config import MelConfig, SoundInput, TowerConfig
from model.errors import ConfigError


class ClapSounds(SoundTower):
    """A vector a second, out of the window of ten seconds that the network hears.

    The network makes a map of a window and pools it over frequency and time. Here it is pooled
    over frequency and over each second; the rest of the network is the same.
    """

    model_class = "ClapAudioModelWithProjection"
    attention = "eager"  # this family has no other

    def __init__(self, config: TowerConfig, folder: Path) -> None:
        super().__init__(config, folder)
        self.decibels: Any = nn.Sequential(mel_spectrogram(self.input), AmplitudeToDB("power"))

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        config, found = read_config(folder), read_numbers(folder, "feature_extractor")
        if config.audio_config.enable_fusion or found.get("truncation") == "fusion":
            raise ConfigError(
                f"{folder} is a CLAP with fusion, whose features of short sounds depend on what "
                "is beside them: take one without, such as laion/clap-htsat-unfused"
            )
        rate, seconds = found.get("sampling_rate", 48_000), found.get("max_length_s", 10)
        hop = found.get("hop_length", 480)
        mel = MelConfig(
            bands=found.get("feature_size", 64),
            fft=found.get("fft_window_size", 1024),
            hop=hop,
            lowest=found.get("frequency_min", 0),
            highest=found.get("frequency_max", 14_000),
            frames=seconds * rate // hop + 1,
        )
        own = SoundInput(sample_rate=rate, window_seconds=seconds, mel=mel)
        return {"dim": config.projection_dim, "input": own}

    def prepared(self, sound: Tensor) -> Tensor:
        """Return decibels ``[1, frames, bands]`` of the sound, repeated until the window is full.

        Only whole repetitions count, and silence after them: so it was trained.
        """
        samples = self.window_seconds * self.sample_rate
        repeated = sound.repeat(samples // len(sound))
        window = F.pad(repeated, (0, samples - len(repeated)))
        return self.decibels(window).T[None]

    def vectors(self, batch: Tensor) -> Tensor:
        """Return ``[N, C, F']``."""
        heard = self.model.audio_model(input_features=batch.to(self.dtype), is_longer=None)
        return heard.last_hidden_state.mean(2).transpose(1, 2)  # of [N, F', frequencies, C]

    def shown_times(self, times: Tensor, seconds: float) -> Tensor:
        """Return where in the sound each repetition of it is; -1 after the last one."""
        repetitions = int(self.window_seconds / seconds)
        return torch.where(times < repetitions * seconds, times % seconds, -1)

    def heard(self, seconds: Tensor) -> Tensor:
        """Return ``[t, F]`` in the space of sentences."""
        projected = self.model.audio_projection(seconds.to(self.dtype))
        return F.normalize(projected.float(), dim=-1)


class ClapSentences(SentenceTower):
    """A vector a sentence, in the space of sounds."""

    model_class = "ClapTextModelWithProjection"
    attention = "eager"

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        config = read_config(folder)
        # Positions count from behind the number of the padding.
        room = config.text_config.max_position_embeddings - config.text_config.pad_token_id - 1
        return {"dim": config.projection_dim, "input": cls.read_input(folder, max_tokens=room)}

    def read(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return ``[N, F]``."""
        return self.model(input_ids=tokens, attention_mask=mask).text_embeds
