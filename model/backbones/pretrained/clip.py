"""CLIP: pictures and sentences in one space.

Source: Radford et al., ICML 2021.
"""

from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from model.backbones.pretrained.loading import read_config
from model.backbones.pretrained.pictures import PictureTower
from model.backbones.pretrained.texts import SentenceTower


class ClipPictures(PictureTower):
    """A vector of length 1 a picture, in the space of sentences."""

    model_class = "CLIPVisionModelWithProjection"

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        config = read_config(folder)
        side = config.vision_config.image_size
        own = cls.read_input(
            folder,
            side=side,
            short_side=side,
            image_mean=(0.48145466, 0.4578275, 0.40821073),
            image_std=(0.26862954, 0.26130258, 0.27577711),
        )
        return {"dim": config.projection_dim, "input": own}

    def seen(self, pixels: Tensor) -> Tensor:
        """Return ``[N, F]``."""
        return F.normalize(self.model(pixel_values=pixels).image_embeds.float(), dim=-1)


class ClipSentences(SentenceTower):
    """A vector a sentence, in the space of pictures."""

    model_class = "CLIPTextModelWithProjection"

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        config = read_config(folder)
        room = config.text_config.max_position_embeddings
        return {"dim": config.projection_dim, "input": cls.read_input(folder, max_tokens=room)}

    def read(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return ``[N, F]``."""
        return self.model(input_ids=tokens, attention_mask=mask).text_embeds
