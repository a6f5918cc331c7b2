"""PE-AV, the perception encoder for audio and video: pictures, sounds and sentences in one space.

The model's own methods for text and video raise errors in transformers 5.23, so its parts are
called one by one. Each is loaded without the others: sound and text then need no timm.
Source: Vyas et al., 2025.
"""

from abc import abstractmethod
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones.pretrained.loading import load_model, read_config, read_numbers
from model.backbones.pretrained.pictures import PictureTower
from model.backbones.pretrained.sounds import SoundTower
from model.backbones.pretrained.texts import SentenceTower
from model.config import SoundInput


class PeSounds(SoundTower):
    """A vector of length 1 a second, each heard by itself."""

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        rate = read_numbers(folder, "feature_extractor").get("sampling_rate", 48_000)
        own = SoundInput(sample_rate=rate, window_seconds=1, mel=None)
        return {"dim": read_config(folder).text_config.hidden_size, "input": own}

    def load(self, folder: Path) -> Any:
        """Return the encoder of sound and its head."""
        return load_model(_parts()["audio"], folder, self.config).audio_model

    def prepared(self, sound: Tensor) -> Tensor:
        """Return ``[1, sample_rate]``, silent after the sound."""
        return F.pad(sound, (0, self.sample_rate - len(sound)))[None]

    def vectors(self, batch: Tensor) -> Tensor:
        """Return ``[N, 1, F]``."""
        pooled = self.model.audio_encoder(batch.to(self.dtype)).pooler_output
        return F.normalize(self.model.audio_head(pooled).float(), dim=-1)[:, None]


class PePictures(PictureTower):
    """A vector of length 1 a second, each seen by itself as a video of one frame."""

    processor = "video_processor"

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        half = (0.5, 0.5, 0.5)
        own = cls.read_input(folder, side=336, resample=2, image_mean=half, image_std=half)
        return {"dim": read_config(folder).text_config.hidden_size, "input": own}

    def load(self, folder: Path) -> Any:
        """Return the encoder of video and its head."""
        return load_model(_parts()["video"], folder, self.config).video_model

    def seen(self, pixels: Tensor) -> Tensor:
        """Return ``[N, F]``."""
        pooled = self.model.video_encoder(pixels[:, None]).pooler_output
        return F.normalize(self.model.video_head(pooled).float(), dim=-1)


class PeSentences(SentenceTower):
    """Two vectors of length 1 a sentence, side by side: one for sounds, one for pictures."""

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        config = read_config(folder).text_config
        own = cls.read_input(folder, max_tokens=config.max_position_embeddings)
        return {"dim": 2 * config.hidden_size, "input": own}

    def load(self, folder: Path) -> Any:
        """Return the encoder of text and its two heads."""
        return load_model(_parts()["text"], folder, self.config)

    def vectors(self, batch: Tensor) -> Tensor:
        """Return ``[N, F]``, both halves of length 1."""
        halves = super().vectors(batch).chunk(2, dim=-1)
        return torch.cat([F.normalize(half, dim=-1) for half in halves], -1)

    def read(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return ``[N, F]``."""
        first = self.model.text_model(input_ids=tokens, attention_mask=mask).last_hidden_state[:, 0]
        heads = (self.model.audio_model.text_audio_head, self.model.video_model.text_video_head)
        return torch.cat([head(first) for head in heads], -1)


@cache
def _parts() -> dict[str, Any]:
    """Return a network for each part, with the names that the whole one has for its tensors."""
    from transformers import AutoModel
    from transformers.models.pe_audio.modeling_pe_audio import (
        PeAudioContrastiveHead as Head,
    )
    from transformers.models.pe_audio.modeling_pe_audio import PeAudioEncoder
    from transformers.models.pe_audio_video.modeling_pe_audio_video import (
        PeAudioVideoPreTrainedModel,
    )
    from transformers.models.pe_video.modeling_pe_video import PeVideoEncoder

    class Part(PeAudioVideoPreTrainedModel):
        """Some of the network; tensors that it lacks are left in the file."""

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.audio_model, self.video_model = nn.Module(), nn.Module()
            self.fill(config)
            self.post_init()  # type: ignore[no-untyped-call]  # transformers'

        @abstractmethod
        def fill(self, config: Any) -> None:
            """Add the modules of this part."""

    class Sound(Part):
        def fill(self, config: Any) -> None:
            own, size = config.audio_video_config.audio_config, config.text_config.hidden_size
            self.audio_model.audio_encoder = PeAudioEncoder(own)
            self.audio_model.audio_head = Head(own.hidden_size, size)

    class Video(Part):
        def fill(self, config: Any) -> None:
            own, size = config.audio_video_config.video_config, config.text_config.hidden_size
            self.video_model.video_encoder = PeVideoEncoder(own)
            self.video_model.video_head = Head(own.hidden_size, size)

    class Text(Part):
        def fill(self, config: Any) -> None:
            size = config.text_config.hidden_size
            self.text_model = AutoModel.from_config(config.text_config)
            self.audio_model.text_audio_head = Head(size, size)
            self.video_model.text_video_head = Head(size, size)

    return {"audio": Sound, "video": Video, "text": Text}
