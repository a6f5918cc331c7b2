"""Graphs of modules compute what the modules do; what no graph is known of is told."""

import pytest
import torch
from torch import Tensor, nn

from model.compiled import Compiled
from model.graph import NoGraph, folded


def transformer(activation: str) -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 4, 24, activation=activation, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


MODULES: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(5, 7), (2, 3, 5)),
    "linear without bias": (nn.Linear(5, 7, bias=False), (4, 5)),
    "norm": (nn.LayerNorm(6, eps=0.1), (2, 6)),
    "relu6": (nn.Sequential(nn.Identity(), nn.ReLU6()), (50, 3)),
    "convolution": (nn.Conv2d(4, 6, (3, 5), stride=2, padding=(1, 2)), (2, 4, 9, 8)),
    "by channel": (nn.Conv2d(4, 8, 3, groups=4, bias=False), (2, 4, 9, 8)),
    "uneven padding": (nn.Sequential(nn.ZeroPad2d((0, 1, 2, 3)), nn.ReLU()), (1, 2, 3, 4)),
    "pool": (nn.Sequential(nn.MaxPool2d(2), nn.Dropout()), (1, 2, 5, 6)),
    "transformer, relu": (transformer("relu"), (1, 6, 16)),
    "transformer, gelu": (transformer("gelu"), (1, 6, 16)),
}


def close(own: Tensor, expected: Tensor) -> bool:
    return torch.allclose(own, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODULES)
@torch.inference_mode()
def test_a_graph_computes_what_the_module_does(name: str) -> None:
    torch.manual_seed(0)
    module, shape = MODULES[name]
    module.eval()
    for values in module.parameters():  # norms too: their first weights would change nothing
        values.copy_(torch.randn_like(values) / 2)
    x = 4 * torch.randn(shape)
    assert close(Compiled(module, *shape)(x), module(x))


@torch.inference_mode()
def test_a_batch_norm_is_folded_into_the_convolution_before_it() -> None:
    torch.manual_seed(0)
    module, norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=0.1).eval()
    for values in (norm.weight, norm.bias, norm.running_mean):
        assert values is not None
        values.normal_()
    assert norm.running_var is not None
    norm.running_var.uniform_(0.5, 2)
    weight, bias = folded(module, norm)
    x = torch.randn(1, 3, 5, 5)
    assert close(nn.functional.conv2d(x, weight, bias), norm(module(x)))


@torch.inference_mode()
def test_letters_stand_for_any_size() -> None:
    network = Compiled(transformer("relu").eval(), 1, "T", 16)
    for length in (1, 7, 3):
        assert network(torch.randn(1, length, 16)).shape == (1, length, 16)


@pytest.mark.parametrize(
    "module",
    [
        nn.LSTM(4, 4),
        nn.Sequential(nn.ReLU(), nn.Softmax(-1)),
        nn.TransformerEncoderLayer(4, 1, norm_first=True),
        nn.TransformerEncoderLayer(4, 1, activation=torch.tanh),
    ],
    ids=["lstm", "softmax", "norm first", "tanh"],
)
def test_a_module_without_a_graph_is_told(module: nn.Module) -> None:
    with pytest.raises(NoGraph, match="no graph of"):
        Compiled(module, 1, "T", 4)


def test_a_gradient_is_refused_and_not_lost() -> None:
    network = Compiled(nn.Linear(2, 2), "N", 2)
    with pytest.raises(RuntimeError, match="requires grad"):
        network(torch.zeros(1, 2, requires_grad=True))
