"""SigLIP, and SigLIP 2 of a fixed size: pictures and sentences in one space.

Source: Zhai et al., ICCV 2023; Tschannen et al., 2025.
"""

from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from model.backbones.pretrained.loading import read_config
from model.backbones.pretrained.pictures import PictureTower
from model.backbones.pretrained.texts import SentenceTower


class SiglipPictures(PictureTower):
    """A vector of length 1 a picture, in the space of sentences; whole pictures, squashed."""

    model_class = "SiglipVisionModel"

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        config = read_config(folder).vision_config
        half = (0.5, 0.5, 0.5)
        own = cls.read_input(folder, side=config.image_size, image_mean=half, image_std=half)
        return {"dim": config.hidden_size, "input": own}

    def seen(self, pixels: Tensor) -> Tensor:
        """Return ``[N, F]``."""
        return F.normalize(self.model(pixel_values=pixels).pooler_output.float(), dim=-1)


class SiglipSentences(SentenceTower):
    """A vector a sentence, in the space of pictures."""

    model_class = "SiglipTextModel"

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        config = read_config(folder).text_config
        room = config.max_position_embeddings
        return {"dim": config.projection_size, "input": cls.read_input(folder, max_tokens=room)}

    def tokens_of(self, sentence: str) -> list[int]:
        """Return as many tokens as the network has positions: its padding counts as text."""
        return self.tokenized(sentence, padding="max_length")["input_ids"]

    def read(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return ``[N, F]``."""
        return self.model(input_ids=tokens).pooler_output
