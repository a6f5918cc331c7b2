"""What the networks for pictures see of a clip: the centres of its frames.

Shape letters: T steps of one clip, R frames a step.
"""

import numpy as np
import torch
from torch import Tensor

from model.errors import MediaError, ShapeError
from model.media import Clip

SHORT_SIDE, CROP = 256, 224  # pixels, of the frame and of what the network sees of it


def centres(
    item: Clip | str, *, short_side: int = SHORT_SIDE, side: int = CROP, is_squashed: bool = False
) -> Tensor:
    """Return the centres of the frames, uint8 ``[T, R, 3, S, S]``.

    Args:
        item: A clip with picture.
        short_side: Of the frames, in pixels; they must have been decoded so.
        side: S, of their centres.
        is_squashed: Whether the frames must be squares.

    Raises:
        MediaError: There is no picture.
        ShapeError: It was decoded to another size.
    """
    if isinstance(item, str) or item.frames is None:
        raise MediaError("no picture to look at; send a video or a picture")
    height, width = item.frames.shape[2:4]
    if min(height, width) != short_side or (is_squashed and height != width):
        squashed = ", is_squashed=True" if is_squashed else ""
        raise ShapeError(
            f"frames of {width} x {height}; decode with "
            f"DecodeConfig(short_side={short_side}{squashed})"
        )
    top, left = (height - side) // 2, (width - side) // 2
    centre = item.frames[:, :, top : top + side, left : left + side]
    return torch.from_numpy(np.ascontiguousarray(centre.transpose(0, 1, 4, 2, 3)))
