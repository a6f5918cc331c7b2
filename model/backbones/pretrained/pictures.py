"""Networks for pictures: a vector for the frame in the middle of each second.

Shape letters: N frames, T steps, S side in pixels, F features.
"""

from abc import abstractmethod
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from model.backbones.pictures import centres
from model.backbones.pretrained.loading import read_numbers
from model.backbones.pretrained.tower import Tower
from model.config import PictureInput, TowerConfig
from model.errors import ConfigError
from model.media import Clip
from model.modality import Modality

FILTERS = {1: "lanczos", 2: "bilinear", 3: "bicubic"}  # as Pillow numbers them
BICUBIC = 3


class PictureTower(Tower):
    """A network whose input is pixels; how they are cut and scaled is published with it."""

    modality = Modality.VIDEO
    processor = "image_processor"  # where the numbers are
    max_rows = 128
    max_rows_cpu = 8  # one by one, frames take half as long again

    def __init__(self, config: TowerConfig, folder: Path) -> None:
        super().__init__(config, folder)
        self.input = cast("PictureInput", config.input)
        self.short_side = self.input.short_side
        self.is_squashed = self.input.is_squashed
        self.resample = self.input.resample
        colours = torch.tensor([self.input.mean, self.input.std])[:, :, None, None] * 255
        self.register_buffer("colours", colours, persistent=False)  # [2, 3, 1, 1]

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return uint8 ``[T, 3, S, S]``.

        Raises:
            MediaError: There is no picture.
            ShapeError: It was decoded to another size.
        """
        frames = centres(
            item,
            short_side=self.input.short_side,
            side=self.input.side,
            is_squashed=self.input.is_squashed,
        )
        return frames[:, frames.shape[1] // 2]

    def vectors(self, batch: Tensor) -> Tensor:
        """Return ``[N, F]``."""
        mean, std = cast("Tensor", self.colours)
        return self.seen(((batch - mean) / std).to(self.dtype))

    @abstractmethod
    def seen(self, pixels: Tensor) -> Tensor:
        """Return the vectors ``[N, F]`` of normalised ``pixels`` ``[N, 3, S, S]``."""

    @classmethod
    def read_input(
        cls, folder: Path, *, side: int, short_side: int | None = None, **defaults: Any
    ) -> PictureInput:
        """Return the published numbers of a folder.

        Args:
            folder: Of the model.
            side: The square that the network sees, where the folder does not say.
            short_side: The frame's shorter side before the crop, where the folder does not say;
                None: this family squashes.
            defaults: The same of other fields, as transformers names them.

        Raises:
            ConfigError: Pictures are not squares, or are scaled in a way that is not known here.
        """
        found = defaults | read_numbers(folder, cls.processor)
        default = {"shortest_edge": short_side} if short_side else {"height": side, "width": side}
        size = _as_object(found.get("size", default), default)
        is_squashed = "shortest_edge" not in size
        seen = size
        if found.get("do_center_crop", bool(short_side)):
            square = {"height": side, "width": side}
            seen = _as_object(found.get("crop_size", square), square)
        resample = FILTERS.get(found.get("resample", BICUBIC))
        squares = [seen, size] if is_squashed else [seen]
        is_square = all(own.get("height", 0) == own.get("width") for own in squares)
        if not is_square or not resample:
            raise ConfigError(
                f"{folder} scales pictures to {size}, crops them to {seen}, by the filter "
                f"{found.get('resample')}: only squares, and bilinear, bicubic or Lanczos filters, "
                "are taken"
            )
        is_normalised = found.get("do_normalize", True)
        return PictureInput(
            short_side=size["height"] if is_squashed else size["shortest_edge"],
            side=seen["height"],
            is_squashed=is_squashed,
            resample=resample,
            mean=tuple(found["image_mean"]) if is_normalised else (0, 0, 0),
            std=tuple(found["image_std"]) if is_normalised else (1, 1, 1),
        )


def _as_object(size: Any, like: dict[str, Any]) -> dict[str, Any]:
    """Return a size as it is written today; once it was a number."""
    return dict.fromkeys(like, size) if isinstance(size, int) else dict(size)
