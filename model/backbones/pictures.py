"""What the networks for pictures see of a clip: the centres of its frames.

Shape letters: T steps of one clip, R frames a step.
"""

import numpy as np
import torch
from torch import Tensor

from model.errors import MediaError, ShapeError
from model.media import Clip

SHORT_SIDE, CROP = 256, 224  # pixels, of the frame and of what the network sees of it


def centres(item: Clip | str) -> Tensor:
    """Return the centres of the frames, uint8 ``[T, R, 3, 224, 224]``.

    Raises:
        MediaError: There is no picture.
        ShapeError: It was decoded to another size.
    """
    if isinstance(item, str) or item.frames is None:
        raise MediaError("no picture to look at; send a video or a picture")
    height, width = item.frames.shape[2:4]
    if min(height, width) != SHORT_SIDE:
        raise ShapeError(
            f"frames of {width} x {height}; decode with DecodeConfig(short_side={SHORT_SIDE})"
        )
    top, left = (height - CROP) // 2, (width - CROP) // 2
    centre = item.frames[:, :, top : top + CROP, left : left + CROP]
    return torch.from_numpy(np.ascontiguousarray(centre.transpose(0, 1, 4, 2, 3)))
