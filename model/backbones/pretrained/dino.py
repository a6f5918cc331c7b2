"""DINOv2 and DINOv3: pictures, without any text.

Source: Oquab et al., TMLR 2024; Siméoni et al., 2025.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from model.backbones.pretrained.loading import read_config
from model.backbones.pretrained.pictures import PictureTower

IMAGENET: dict[str, Any] = {"image_mean": (0.485, 0.456, 0.406), "image_std": (0.229, 0.224, 0.225)}


class Dino2Pictures(PictureTower):
    """The class token of the last layer; the centre of a picture."""

    model_class = "Dinov2Model"
    output = "last"

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        own = cls.read_input(folder, side=224, short_side=256, **IMAGENET)
        return {"dim": read_config(folder).hidden_size, "input": own}

    def seen(self, pixels: Tensor) -> Tensor:
        """Return ``[N, F]``."""
        return self.model(pixel_values=pixels).pooler_output


class Dino3Pictures(Dino2Pictures):
    """The class token of the last layer; whole pictures, squashed."""

    model_class = "DINOv3ViTModel"

    @classmethod
    def described(cls, folder: Path) -> dict[str, Any]:
        """Return ``dim`` and ``input``."""
        own = cls.read_input(folder, side=224, resample=2, **IMAGENET)
        return {"dim": read_config(folder).hidden_size, "input": own}
