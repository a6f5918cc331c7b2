"""The kinds of search indexes by name, and what makes their first search as fast as the next."""

import threading

import numpy as np

from app.settings import IndexKind
from app.store.index.code_index import CodeIndex
from app.store.index.float_index import FloatIndex
from app.store.index.kernels import load_kernels
from app.store.index.scan import scan_means
from app.store.index.torch_scan import TorchScan
from model.encoder import Vocabulary


def make_index(kind: IndexKind, vocabulary: Vocabulary, *, device: str = "cpu") -> CodeIndex:
    """Return an empty index of the streams of one modality.

    Args:
        kind: ``codes`` and ``flat`` are exact. The others may miss some of the nearest means and
            are faster among many: through the codes, inverted lists or a neighbour graph.
        vocabulary: What the codes stand for.
        device: Where codes are scanned, as torch names it. Vectors are compared on the CPU.
    """
    kernels = load_kernels()
    if kind == "codes" or kind == "postings":
        scan = scan_means if device == "cpu" else TorchScan(device)
        return CodeIndex(vocabulary, kernels=kernels, is_approximate=kind == "postings", scan=scan)
    return FloatIndex(vocabulary, kernels=kernels, kind=kind)


def warm_up(vocabulary: Vocabulary) -> threading.Thread:
    """Compile, or load from disk, what searches need, beside whatever else is done."""

    def search() -> None:
        index = CodeIndex(vocabulary, kernels=load_kernels(), is_approximate=True, postings_from=1)
        layers = sorted(set(vocabulary.layers.tolist()))
        queries = np.ones((2, len(layers) * vocabulary.tables.shape[-1]), np.float32)
        index.add(np.array([1]), np.zeros((1, len(vocabulary.tables), 3), np.int16))
        for width in (None, 1, 2):
            index.search(queries[0], layers=layers, k=1, width=width)
        index.search_many(queries, layers=layers, k=1)

    thread = threading.Thread(target=search, name="warm-up")
    thread.start()
    return thread
