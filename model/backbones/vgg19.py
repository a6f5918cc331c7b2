"""VGG19: the paper's backbone for video.

Shape letters: N steps, T steps of one clip, R frames a step.
Source: Simonyan and Zisserman, ICLR 2015; the weights are torchvision's, trained with the labels
of ImageNet.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from model.backbones.base import Backbone
from model.backbones.local import named_by, read_weights
from model.backbones.pictures import CROP, centres
from model.backbones.vgg import vgg_convolutions
from model.compiled import Compiled
from model.media import Clip
from model.modality import Modality

VARIABLE = "SRCID_VGG19"
STAGES = (2, 2, 4, 4, 4)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # RGB, of pixels 0..1
MAX_FRAMES = 16  # in one pass: bounds the memory, about 40 MB a frame


def load_vgg19() -> "VGG19":
    """Return the backbone with the weights that ``SRCID_VGG19`` names."""
    what = "torchvision's state dict of VGG19 (IMAGENET1K_V1, vgg19-dcbb9e9d.pth)"
    return VGG19(read_weights(named_by(VARIABLE, what=what)))


class VGG19(Backbone):
    """The last pooled map (pool5) ``[7, 7, 512]`` of a step, the mean over its 16 frames.

    Args:
        weights: Its state dict; the classifier's weights are left aside.
    """

    modality = Modality.VIDEO
    frames_per_step = 16

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.network: nn.Module = vgg_convolutions(weights, STAGES)
        *_, last_bias = self.network.parameters()
        self.feature_shape = (7, 7, len(last_bias))
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return the centres of the frames, uint8 ``[T, R, 3, 224, 224]``; of a picture R is 1."""
        frames = centres(item)
        is_picture = isinstance(item, Clip) and item.duration_seconds is None
        return frames[:, :1] if is_picture else frames  # all are the same, and so is their mean

    def compile_for_cpu(self) -> None:
        """Have ONNX Runtime run the convolutions."""
        self.network = Compiled(self.network, "N", 3, CROP, CROP)

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``[N, 7, 7, 512]``."""
        groups = steps.split(max(1, MAX_FRAMES // steps.shape[1]))
        return torch.cat([self._features(group) for group in groups])

    @torch.inference_mode()
    def extract(self, items: Sequence[Tensor]) -> list[Tensor]:
        """Return each preprocessed item's features, item by item: each is a full batch."""
        return [self.forward(item) for item in items]

    def _features(self, steps: Tensor) -> Tensor:
        pixels = steps.flatten(0, 1).float() / 255
        pixels = (pixels - self.get_buffer("mean")) / self.get_buffer("std")  # [N*R, 3, 224, 224]
        maps: Tensor = self.network(pixels)  # [N*R, 512, 7, 7]
        return maps.unflatten(0, steps.shape[:2]).mean(1).permute(0, 2, 3, 1)
