"""A network of torch as an ONNX graph, for ONNX Runtime, which takes half of torch's time on a CPU.

``emit`` writes modules into a graph, each kind of module by a function of its own. What torch
computes on the way is what the graph computes: only batch norms are folded into convolutions.
"""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import onnx
import torch
from onnx import helper
from torch import Tensor, nn

OPSET, IR_VERSION = 20, 10
FUSED = "com.microsoft"  # ONNX Runtime's own operators


class NoGraph(TypeError):
    """There is a module that ``emit`` does not know: torch has to run the network."""


class Graph:
    """A graph with one input, ``x``, written node by node; nodes and weights go by numbers.

    Args:
        dims: The shape of the input: sizes, and letters for what may vary.
    """

    x = "x"

    def __init__(self, *dims: int | str) -> None:
        versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(FUSED, 1)]
        x = helper.make_tensor_value_info(self.x, onnx.TensorProto.FLOAT, dims)
        empty = helper.make_graph([], "network", [x], [])
        self._model = helper.make_model(empty, opset_imports=versions, ir_version=IR_VERSION)

    def node(self, kind: str, *inputs: str, domain: str = "", **settings: Any) -> str:
        """Add an operator; return the name of what it gives."""
        nodes = self._model.graph.node
        name = f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [name], domain=domain, **settings))
        return name

    def weight(self, values: Tensor) -> str:
        """Add a constant; return its name."""
        weights = self._model.graph.initializer
        name = f"w_{len(weights)}"
        array = values.detach().cpu().contiguous().numpy()
        # Written in place: a list of tensors would hold all weights a second time.
        weight = weights.add(name=name, dims=array.shape, raw_data=array.tobytes())
        weight.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
        return name

    def serialized(self, *outputs: str) -> bytes:
        """Return the graph as the bytes of an ONNX file."""
        del self._model.graph.output[:]
        self._model.graph.output.extend(map(helper.make_empty_tensor_value_info, outputs))
        return self._model.SerializeToString()


@singledispatch
def emit(module: nn.Module, graph: Graph, x: str) -> str:
    """Write ``module``, in evaluation mode, with the input ``x``; return its output's name.

    Raises:
        NoGraph: Nothing is known of this kind of module.
    """
    raise NoGraph(f"no graph of a {type(module).__name__}")


@emit.register(nn.Identity)
@emit.register(nn.Dropout)
def _(module: nn.Module, graph: Graph, x: str) -> str:
    return x


@emit.register
def _(module: nn.Sequential, graph: Graph, x: str) -> str:
    for part in module:
        x = emit(part, graph, x)
    return x


@emit.register
def _(module: nn.Linear, graph: Graph, x: str) -> str:
    x = graph.node("MatMul", x, graph.weight(module.weight.T))
    return x if module.bias is None else graph.node("Add", x, graph.weight(module.bias))


@emit.register
def _(module: nn.ReLU, graph: Graph, x: str) -> str:
    return graph.node("Relu", x)


@emit.register
def _(module: nn.ReLU6, graph: Graph, x: str) -> str:
    return graph.node("Clip", x, *(graph.weight(torch.tensor(end)) for end in (0.0, 6.0)))


@emit.register
def _(module: nn.MaxPool2d, graph: Graph, x: str) -> str:
    size, step = (
        value if isinstance(value, tuple) else (value, value)
        for value in (module.kernel_size, module.stride)
    )
    return graph.node("MaxPool", x, kernel_shape=size, strides=step)


@emit.register
def _(module: nn.ZeroPad2d, graph: Graph, x: str) -> str:
    left, right, top, bottom = module.padding
    pads = torch.tensor([0, 0, top, left, 0, 0, bottom, right])
    return graph.node("Pad", x, graph.weight(pads))


@emit.register
def _(module: nn.Conv2d, graph: Graph, x: str) -> str:
    bias = module.weight.new_zeros(len(module.weight)) if module.bias is None else module.bias
    return convolution(graph, x, module, module.weight, bias)


@emit.register
def _(module: nn.LayerNorm, graph: Graph, x: str) -> str:
    scale, shift = graph.weight(module.weight), graph.weight(module.bias)
    return graph.node("LayerNormalization", x, scale, shift, epsilon=module.eps)


@emit.register
def _(module: nn.TransformerEncoder, graph: Graph, x: str) -> str:
    for layer in module.layers:
        x = emit(layer, graph, x)
    return x


@emit.register
def _(module: nn.TransformerEncoderLayer, graph: Graph, x: str) -> str:
    """``[B, T, D]`` without padding: every step attends to all."""
    attention = module.self_attn
    if module.norm_first or attention.in_proj_weight is None:
        raise NoGraph("no graph of a transformer of that kind")
    weight, bias = graph.weight(attention.in_proj_weight.T), graph.weight(attention.in_proj_bias)
    heads = attention.num_heads
    own = graph.node("Attention", x, weight, bias, domain=FUSED, num_heads=heads)
    x = emit_normed_sum(graph, own, x, attention.out_proj, module.norm1)
    own = graph.node("MatMul", x, graph.weight(module.linear1.weight.T))
    bias = graph.weight(module.linear1.bias)
    if module.activation_relu_or_gelu == 1:
        own = graph.node("Relu", graph.node("Add", own, bias))
    elif module.activation_relu_or_gelu == 2:
        own = graph.node("BiasGelu", own, bias, domain=FUSED)
    else:
        raise NoGraph("no graph of a transformer of that kind")
    return emit_normed_sum(graph, own, x, module.linear2, module.norm2)


def emit_normed_sum(graph: Graph, own: str, x: str, linear: nn.Linear, norm: nn.LayerNorm) -> str:
    """Write ``norm(linear(own) + x)``."""
    own = graph.node("MatMul", own, graph.weight(linear.weight.T))
    weights = [graph.weight(values) for values in (norm.weight, norm.bias, linear.bias)]
    return graph.node("SkipLayerNormalization", own, x, *weights, domain=FUSED, epsilon=norm.eps)


def convolution(
    graph: Graph,
    x: str,
    module: nn.Conv2d,
    weight: Tensor,
    bias: Tensor,
    pads: Sequence[int] | None = None,
) -> str:
    """Write a convolution as ``module`` is one, of other weights where a batch norm is in them.

    Args:
        pads: Top, left, bottom, right; those of ``module`` by default.
    """
    if pads is None:
        assert not isinstance(module.padding, str), "sizes, not names"
        pads = module.padding * 2
    return graph.node(
        "Conv",
        x,
        graph.weight(weight),
        graph.weight(bias),
        kernel_shape=module.kernel_size,
        strides=module.stride,
        pads=pads,
        group=module.groups,
    )


def folded(module: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the weight and the bias of ``norm(module(x))``."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return (module.weight * scale[:, None, None, None]).float(), bias.float()
