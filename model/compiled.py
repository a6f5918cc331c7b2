"""A network that ONNX Runtime runs: on a CPU, in half of torch's time and less. Opens it."""

import onnxruntime
import torch
from torch import Tensor, nn

from model.graph import Graph, emit

ERRORS = 3  # of ONNX Runtime's log: what is below is not shown


class Compiled(nn.Module):
    """Computes what ``network`` does, on one core; it may be called by several threads at once.

    It holds its own copy of the weights, knows no gradient, and stays on the CPU. An input's
    result depends on nothing else: not on the number of threads, nor on what runs beside it.

    Args:
        network: In evaluation mode, of modules that ``model.graph`` knows.
        dims: The shape of its input: sizes, and letters for what may vary.

    Raises:
        NoGraph: There is a module in ``network`` that ``model.graph`` does not know.
    """

    def __init__(self, network: nn.Module, *dims: int | str) -> None:
        super().__init__()
        graph = Graph(*dims)
        self._session = session(graph.serialized(emit(network, graph, graph.x)))

    def forward(self, x: Tensor) -> Tensor:
        """Return what the network makes of ``x``, float32 of the shape ``dims``."""
        (found,) = self._session.run(None, {Graph.x: x.contiguous().numpy()})
        return torch.from_numpy(found)


def session(graph: bytes) -> onnxruntime.InferenceSession:
    """Return a serialized graph, ready to run on one core in the thread that calls it."""
    options = onnxruntime.SessionOptions()
    # With more threads, sums would be cut up by their number; callers have threads of their own.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # plans of memory, kept for each length of input there was
    options.log_severity_level = ERRORS
    made = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    made._model_bytes = b""  # all weights a second time, for other providers to start from
    return made
