"""The encoder of Whisper: speech.

Source: Radford et al., ICML 2023.
"""

from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from model.backbones.pretrained.loading import load_model, read_config, read_numbers
from model.backbones.pretrained.sounds import SoundTower, mel_spectrogram
from model.config import MelConfig, SoundInput, TowerConfig

FLOOR = 1e-10  # of the energies
RANGE = 8.0  # powers of ten below the loudest one that count


class WhisperSounds(SoundTower):
    """A vector a second: the mean of the encoder's fifty. A window of thirty seconds costs the same
    whatever of it is sound.
    """

    model_class = "WhisperModel"
    output = "last"

    def __init__(self, config: TowerConfig, folder: Path) -> None:
        super().__init__(config, folder)
        self.powers = mel_spectrogram(self.input)

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        config, found = read_config(folder), read_numbers(folder, "feature_extractor")
        rate, seconds = found.get("sampling_rate", 16_000), found.get("chunk_length", 30)
        hop = found.get("hop_length", 160)
        mel = MelConfig(
            bands=found.get("feature_size", config.num_mel_bins),
            fft=found.get("n_fft", 400),
            hop=hop,
            lowest=0,
            highest=8000,
            frames=seconds * rate // hop,
        )
        own = SoundInput(sample_rate=rate, window_seconds=seconds, mel=mel)
        return {"dim": config.d_model, "input": own}

    def load(self, folder: Path) -> Any:
        """Return the encoder; the decoder is read and dropped."""
        return load_model(self.model_class, folder, self.config).encoder

    def prepared(self, sound: Tensor) -> Tensor:
        """Return ``[bands, frames]`` of the sound and the silence after it."""
        window = F.pad(sound, (0, self.window_seconds * self.sample_rate - len(sound)))
        logs = self.powers(window)[:, :-1].clamp(min=FLOOR).log10()
        return (logs.maximum(logs.max() - RANGE) + 4) / 4

    def vectors(self, batch: Tensor) -> Tensor:
        """Return ``[N, C, F]``."""
        return self.model(batch.to(self.dtype)).last_hidden_state
