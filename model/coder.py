"""The encode path on a CPU, in as few operations as its mathematics has.

A modality's general vectors and codes come out of one graph (``model.graph``): |z - e|^2 is least
where z.e - |e|^2 / 2 is largest. What a residual quantizer chooses one after the other is left to
numpy, which is given the products z.e of all its codebooks.
Shape letters: T steps, F features, D dim, L codebook size, Q codes a step and layer, K layers,
C = K * Q code rows.
"""

from collections.abc import Callable
from functools import singledispatch
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from model.compiled import session
from model.graph import Graph, NoGraph, emit, emit_normed_sum
from model.modality import Modality
from model.network.conditional_mean import ConditionalMean
from model.network.general import GeneralEncoder, StepBlock, Unchanged
from model.network.layer import DisentanglingLayer
from model.network.specific import VectorSpecificEncoder
from model.network.standardize import EPS, Standardize
from model.quantizers.base import Quantizer
from model.quantizers.rvq import ResidualQuantizer
from model.quantizers.vq import VectorQuantizer
from model.srcid import SRCID

Floats = NDArray[np.float32]
# From general vectors [T, D], and what the graph gives beside them, to codes [Q, T].
Chooser = Callable[[Floats, NDArray[Any]], NDArray[np.int64]]


class Coded(NamedTuple):
    """What is made of a piece of media or a sentence."""

    codes: NDArray[np.int64]  # [C, T]
    general: Floats  # [T, K, D] what a query is compared by (SRCIDConfig.compared)
    errors: Floats  # [T] from layer 1's general vector to what its codes stand for


class Coder:
    """Computes of one modality what ``SRCID.quantize`` does, from a copy of the weights.

    Raises:
        NoGraph: The network has a part, or a quantizer, that is not known here: torch runs it.
    """

    def __init__(self, model: SRCID, modality: Modality) -> None:
        _check_parts(model, "stems", "layers")
        if modality in model.stems:
            raise NoGraph("no graph of a stem")
        graph = Graph(1, "T", *model.config.modalities[modality].feature_shape)
        x, outputs = graph.x, []
        self._choosers: list[Chooser] = []
        for depth, layer in enumerate(model.stages, start=1):
            parts = ("general", "specific", "decoder", "quantizer", "conditional_mean")
            _check_parts(layer, *parts)
            general = emit(layer.general[modality], graph, x)
            chosen, choose = emit_codes(layer.quantizer, graph, general)
            outputs += [general, chosen]
            self._choosers.append(choose)
            if depth < len(model.stages):
                x = _emit_residual(layer, modality, graph, x, general, chosen)
        self._compared = model.config.compared
        self._tables: Floats = model.stages[0].quantizer.tables().cpu().numpy()  # [Q, L, D]
        self._session = session(graph.serialized(*outputs))

    def __call__(self, features: Floats) -> Coded:
        """Return the codes of ``features`` ``[T, F]``, and how far they lie from them."""
        found = self._session.run(None, {Graph.x: features[None]})
        generals, chosen = ([own[0] for own in found[part::2]] for part in (0, 1))
        codes = [
            choose(*own) for choose, *own in zip(self._choosers, generals, chosen, strict=True)
        ]
        decoded = sum(table[row] for table, row in zip(self._tables, codes[0], strict=True))
        errors = np.sqrt(np.square(generals[0] - decoded).sum(1))
        compared = np.stack([generals[depth] for depth in self._compared], 1)
        return Coded(np.concatenate(codes), compared, errors)


def _emit_residual(
    layer: DisentanglingLayer, modality: Modality, graph: Graph, x: str, general: str, codes: str
) -> str:
    """Write what ``layer.residual`` does, for the layer's input ``x`` and what was made of it."""
    vectors = general if layer.leaves_general else emit(layer.specific[modality], graph, x)
    if layer.conditional_mean is not None:
        mean = cast("ConditionalMean", layer.conditional_mean[modality])
        _check_parts(mean, "sums", "counts")
        said = mean.means()
    elif layer.leaves_general:
        said = layer.quantizer.tables()[0]
    else:
        return vectors
    if not isinstance(layer.quantizer, VectorQuantizer):
        raise NoGraph(f"no graph of what a {type(layer.quantizer).__name__} leaves")
    return graph.node("Sub", vectors, graph.node("Gather", graph.weight(said), codes))


@singledispatch
def emit_codes(quantizer: Quantizer, graph: Graph, general: str) -> tuple[str, Chooser]:
    """Write what ``quantizer.encode`` does to ``general``; return an output, and what is left.

    Raises:
        NoGraph: Nothing is known of this kind of quantizer.
    """
    raise NoGraph(f"no graph of a {type(quantizer).__name__}")


@emit_codes.register
def _(quantizer: VectorQuantizer, graph: Graph, general: str) -> tuple[str, Chooser]:
    _check_parts(quantizer, "codebook")
    products = graph.node("MatMul", general, graph.weight(quantizer.codebook.vectors.T))
    likeness = graph.node("Sub", products, graph.weight(quantizer.codebook.offsets() / 2))
    codes = graph.node("ArgMax", likeness, axis=-1, keepdims=0)
    return codes, lambda _, codes: codes[None]


@emit_codes.register
def _(quantizer: ResidualQuantizer, graph: Graph, general: str) -> tuple[str, Chooser]:
    """Residuals are never made: what is taken off a vector is taken off its products."""
    _check_parts(quantizer, "codebooks")
    halves = np.stack([own.offsets().cpu().numpy() for own in quantizer.stages]) / 2  # [Q, L]
    tables = quantizer.tables().flatten(0, 1)  # [Q * L, D]
    among = (tables @ tables.T).cpu().numpy().reshape(*halves.shape, -1)  # [Q, L, Q * L]

    products = graph.node("MatMul", general, graph.weight(tables.T))

    def choose(left: Floats) -> tuple[list[int], Floats]:
        """Return a step's codes by its products ``[Q * L]``, and the products of what is lost."""
        codes = []
        for stage, half in enumerate(halves):
            own = left[stage * len(half) : (stage + 1) * len(half)]
            codes.append(int((own - half).argmax()))
            left = left - among[stage, codes[-1]]
        return codes, left

    def choose_all(z: Floats, products: Floats) -> NDArray[np.int64]:
        rows, lost = [], np.zeros_like(products[0])
        for product, share in zip(products, _shares(z, quantizer), strict=True):
            codes, lost = choose(product + share * lost)
            rows.append(codes)
        return np.array(rows).T

    return products, choose_all


def _shares(z: Floats, quantizer: ResidualQuantizer) -> Floats:
    """Return how much of what a step lost the next one takes on, ``[T]`` for ``z`` ``[T, D]``."""
    shares = np.zeros(len(z), np.float32)
    if quantizer.carries and quantizer.carries_all:
        shares[1:] = 1
    elif quantizer.carries:
        directions = z / np.maximum(np.sqrt(np.square(z).sum(1, keepdims=True)), 1e-8)
        shares[1:] = (directions[1:] * directions[:-1]).sum(1).clip(min=0)
    return shares


@emit.register
def _(module: GeneralEncoder, graph: Graph, x: str) -> str:
    _check_parts(module, "attention", "project", "blocks")
    for part in (module.attention, module.project, *module.blocks):
        x = emit(part, graph, x)
    return x


@emit.register
def _(module: StepBlock, graph: Graph, x: str) -> str:
    _check_parts(module, "norm1", "norm2", "linear1", "linear2", "dropout")
    x = emit(module.norm1, graph, x)
    own = graph.node("Relu", emit(module.linear1, graph, x))
    return emit_normed_sum(graph, own, x, module.linear2, module.norm2)


@emit.register
def _(module: Unchanged, graph: Graph, x: str) -> str:
    return x


@emit.register
def _(module: VectorSpecificEncoder, graph: Graph, x: str) -> str:
    _check_parts(module, "linear", "norm")
    x = graph.node("Relu", emit(module.linear, graph, x))
    return x if module.norm is None else emit(module.norm, graph, x)


@emit.register
def _(module: Standardize, graph: Graph, x: str) -> str:
    deviation = graph.weight((module.variance + EPS).sqrt())
    return graph.node("Div", graph.node("Sub", x, graph.weight(module.mean)), deviation)


def _check_parts(module: nn.Module, *names: str) -> None:
    """Refuse a module that has more to it than is written here."""
    own = {*module._modules, *module._parameters, *module._buffers}
    if unknown := own - set(names):
        raise NoGraph(f"no graph of the {', '.join(sorted(unknown))} of {type(module).__name__}")


@torch.no_grad()
def coders(model: SRCID) -> dict[Modality, Coder]:
    """Return a coder of each modality that has one; torch encodes the others."""
    found = {}
    for m in model.modalities:
        try:
            found[m] = Coder(model, m)
        except NoGraph:
            continue
    return found
