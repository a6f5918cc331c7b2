import csv
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.backbones.packages import packaged
from model.backbones.yamnet import WEIGHTS, YAMNet, YAMNetClasses
from model.media import SAMPLE_RATE, Clip, read_clip

EMBEDDING = "/model/GlobalAveragePool_output_0"
SOUNDS = {
    "helicopter_32": "Vehicle",
    "sea_32": "Ocean",
    "rain_32": "Water",
    "piano_30": "Music",
    "saxophone_30": "Music",
}


@pytest.fixture(scope="module")
def backbone() -> YAMNet:
    return YAMNet()


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    """The graph as it comes, with the embedding as a further output."""
    folder = tmp_path_factory.mktemp("yamnet")
    with zipfile.ZipFile(packaged(*WEIGHTS)) as archive:
        archive.extractall(folder)
    graph = onnx.load(next(folder.rglob("model.onnx")))
    graph.graph.output.append(onnx.helper.make_tensor_value_info(EMBEDDING, 1, None))
    return graph


def initialisers(graph: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    return {entry.name: onnx.numpy_helper.to_array(entry) for entry in graph.graph.initializer}


def unquantized(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph without its quantizing nodes."""
    copy = onnx.ModelProto.FromString(graph.SerializeToString())
    quantizing = ("QuantizeLinear", "DequantizeLinear")
    nodes = list(copy.graph.node)
    sources = {n.output[0]: n.input[0] for n in nodes if n.op_type in quantizing}
    del copy.graph.node[:], copy.graph.output[:]
    for node in (n for n in nodes if n.op_type not in (*quantizing, "Reshape", "Gemm")):
        for index, name in enumerate(node.input):
            while name in sources:
                name = sources[name]
            node.input[index] = name
        copy.graph.node.append(node)
    copy.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    copy.graph.output.append(onnx.helper.make_tensor_value_info(EMBEDDING, 1, None))
    return copy


def embed(graph: onnx.ModelProto, patch: NDArray[np.generic]) -> Tensor:
    options = onnxruntime.SessionOptions()
    # Node by node: fused to sums of 8-bit products, these overflow on some processors.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
    (found,) = session.run([EMBEDDING], {"audio": patch[None, None]})
    return torch.from_numpy(found).flatten()


def sweep(seconds: int = 3) -> Clip:
    times = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    wave = 0.7 * np.sin(2 * np.pi * (200 + 500 * times) * times)
    return Clip(None, wave.astype(np.float32), float(seconds))


def test_the_network_is_that_of_the_graph(backbone: YAMNet, graph: onnx.ModelProto) -> None:
    patches = backbone.preprocess(sweep())
    for patch, ours in zip(patches, backbone(patches), strict=True):
        theirs = embed(unquantized(graph), patch.numpy())
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_embeddings_are_close_to_the_quantized_ones(
    backbone: YAMNet, graph: onnx.ModelProto
) -> None:
    numbers = initialisers(graph)
    times = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * 509 * times).astype(np.float32)
    for patch in backbone.preprocess(Clip(None, tone, 2.0)):
        coded = np.round(patch.numpy() / numbers["audio_scale"]) + numbers["audio_zero_point"]
        theirs = embed(graph, coded.clip(0, 255).astype(np.uint8))
        (ours,) = backbone(patch[None])
        assert torch.cosine_similarity(ours, theirs, dim=0) >= 0.99


@pytest.mark.shared
def test_sounds_are_of_the_classes_that_are_heard(
    backbone: YAMNet, graph: onnx.ModelProto, shared: Path
) -> None:
    """By the graph's own classifier, on the mean over a recording's seconds."""
    numbers = initialisers(graph)
    with packaged("sead", "data/yamnet_class_map.csv").open() as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    heard = {}
    for sound in SOUNDS:
        clip = read_clip(shared / f"data/demo12/aud/{sound}.ogg")
        (features,) = backbone.extract([backbone.preprocess(clip)])
        scores = features.numpy() @ numbers["model.classifier.weight"].T
        scores += numbers["model.classifier.bias"]
        heard[sound] = names[int(scores.mean(0).argmax())]
    assert heard == SOUNDS


def test_many_patches_pass_in_parts(backbone: YAMNet, monkeypatch: pytest.MonkeyPatch) -> None:
    patches = backbone.preprocess(sweep(5))
    whole = backbone(patches)
    monkeypatch.setattr("model.backbones.yamnet.MAX_PATCHES_CPU", 2)
    torch.testing.assert_close(backbone(patches), whole, rtol=1e-4, atol=1e-4)


def test_classes_are_those_of_the_graphs_own_classifier(
    backbone: YAMNet, graph: onnx.ModelProto
) -> None:
    classes, numbers = YAMNetClasses(), initialisers(graph)
    patches = classes.preprocess(sweep())
    features = classes(patches)
    torch.testing.assert_close(features[:, :1024], backbone(patches))
    weight, bias = (numbers[f"model.classifier.{name}"] for name in ("weight", "bias"))
    chances = 1 / (1 + np.exp(-(features[:, :1024].numpy() @ weight.T + bias)))
    expected = torch.from_numpy(chances).sqrt()
    expected /= expected.norm(dim=1, keepdim=True)
    torch.testing.assert_close(features[:, 1024:], expected, rtol=1e-3, atol=1e-5)


def test_every_row_of_the_classifier_has_a_name() -> None:
    classes = YAMNetClasses()
    assert len(classes.class_names) == classes.head.out_features == 521
    assert classes.class_names[0] == "Speech"
