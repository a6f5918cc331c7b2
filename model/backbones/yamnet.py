"""YAMNet: the embedded backbone for sound.

The weights are those of a quantized ONNX graph whose initialisers are still float32, with the
batch norms folded in: the quantizing nodes are skipped. Shape letters: N steps, T steps of one
clip.
Source: Plakal and Ellis, 2019 (MobileNet v1); trained with the labels of AudioSet.
"""

import csv
import math
import zipfile
from collections.abc import Iterator

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from model.backbones.base import Backbone
from model.backbones.classifier import Classifier
from model.backbones.log_mel import MEL_BANDS, PATCH, log_mel_patches
from model.backbones.packages import packaged
from model.compiled import Compiled
from model.media import Clip
from model.modality import Modality

WEIGHTS = ("sead", "data/YamNet_w8a8.onnx.zip")
CLASSES = ("sead", "data/yamnet_class_map.csv")
LOG_OFFSET = 0.001
MAX_PATCHES_CPU = 16  # in one pass: bounds the memory, a megabyte each, and takes no longer


class YAMNet(Backbone):
    """One vector ``[1024]`` a step, from the first 0.975 s of each second."""

    modality = Modality.AUDIO
    feature_shape = (1024,)

    def __init__(self) -> None:
        super().__init__()
        self.network: nn.Module = nn.Sequential(*_layers())
        self.eval().requires_grad_(False)

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return the log-mel patches ``[T, 96, 64]``; the last second is padded with silence."""
        return log_mel_patches(item, offset=LOG_OFFSET)

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``[N, 1024]``."""
        groups = steps.split(MAX_PATCHES_CPU) if steps.device.type == "cpu" else [steps]
        return torch.cat([self._features(group) for group in groups])

    def compile_for_cpu(self) -> None:
        """Have ONNX Runtime run the convolutions."""
        self.network = Compiled(self.network, "N", 1, PATCH, MEL_BANDS)

    def _features(self, steps: Tensor) -> Tensor:
        maps: Tensor = self.network(steps.unsqueeze(1))  # [N, 1024, 3, 2]
        return maps.mean((2, 3))


class YAMNetClasses(YAMNet, Classifier):
    """One vector ``[1024 + 521]`` a step: YAMNet's, and the classes of AudioSet in it."""

    feature_shape = (1024 + 521,)

    def __init__(self) -> None:
        super().__init__()
        self._head = _head()
        self._logits: nn.Module = self._head
        self.eval().requires_grad_(False)

    @property
    def head(self) -> nn.Linear:
        """The classifier that the network was trained with."""
        return self._head

    @property
    def class_names(self) -> list[str]:
        """The names of AudioSet's classes, in the order of the head's rows."""
        with packaged(*CLASSES).open(encoding="utf-8", newline="") as file:
            return [row["display_name"] for row in csv.DictReader(file)]

    def compile_for_cpu(self) -> None:
        """Have ONNX Runtime run the convolutions and the classifier."""
        super().compile_for_cpu()
        self._logits = Compiled(self._head, "N", self._head.in_features)

    def logits(self, pooled: Tensor) -> Tensor:
        """Return what the classifier makes of ``pooled`` ``[N, 1024]``: ``[N, 521]``."""
        return self._logits(pooled)

    def beliefs(self, logits: Tensor) -> Tensor:
        """Return the roots of the probabilities of classes that do not exclude one another."""
        return logits.sigmoid().sqrt()

    def _features(self, steps: Tensor) -> Tensor:
        return self.classified(super()._features(steps))


class _Graph:
    """The packaged graph, and the float32 weights behind its quantizing nodes."""

    def __init__(self) -> None:
        with zipfile.ZipFile(packaged(*WEIGHTS)) as archive:
            files = {name.rsplit("/", 1)[-1]: name for name in archive.namelist()}
            graph = onnx.load_model_from_string(archive.read(files["model.onnx"])).graph
            self._data = archive.read(files["model.data"])
        self.nodes = list(graph.node)
        self._makers = {output: node for node in graph.node for output in node.output}
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}

    def weights(self, node: onnx.NodeProto) -> list[nn.Parameter]:
        """Return a node's weight and bias."""
        return [nn.Parameter(self._weight(name), requires_grad=False) for name in node.input[1:]]

    def _weight(self, name: str) -> Tensor:
        while name not in self._tensors:  # through the quantizing nodes
            name = self._makers[name].input[0]
        return _tensor(self._tensors[name], self._data)


def _layers() -> Iterator[nn.Module]:
    """Yield the graph's convolutions in order, each padded as it says and followed by ReLU."""
    graph = _Graph()
    for node in graph.nodes:
        if node.op_type == "Conv":
            yield from _convolution(node, *graph.weights(node))


def _head() -> nn.Linear:
    """Return the graph's only dense layer."""
    graph = _Graph()
    (node,) = (node for node in graph.nodes if node.op_type == "Gemm")
    weight, bias = graph.weights(node)
    with torch.device("meta"):
        head = nn.Linear(weight.shape[1], weight.shape[0])
    head.weight, head.bias = weight, bias
    return head


def _tensor(tensor: onnx.TensorProto, data: bytes) -> Tensor:
    """Return a float32 initialiser, whose numbers may lie in the file beside the graph."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
    place = {entry.key: entry.value for entry in tensor.external_data}
    count, offset = math.prod(tensor.dims), int(place.get("offset", 0))
    numbers = np.frombuffer(data, np.float32, count, offset).reshape(tuple(tensor.dims))
    return torch.from_numpy(numbers.copy())


def _convolution(
    node: onnx.NodeProto, weight: nn.Parameter, bias: nn.Parameter
) -> Iterator[nn.Module]:
    settings = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
    top, left, bottom, right = settings["pads"]
    is_even = (top, left) == (bottom, right)
    if not is_even:
        yield nn.ZeroPad2d((left, right, top, bottom))
    with torch.device("meta"):
        convolution = nn.Conv2d(
            weight.shape[1] * settings["group"],
            weight.shape[0],
            tuple(settings["kernel_shape"]),
            stride=tuple(settings["strides"]),
            padding=(top, left) if is_even else 0,
            groups=settings["group"],
        )
    convolution.weight, convolution.bias = weight, bias
    yield convolution
    yield nn.ReLU()
