"""The loops of the search, behind one name: compiled where numba is there, else numpy's."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from app.store.index import lookups
from app.store.index.lookups import Bytes, Doubles, Floats, Ints, Packed

logger = logging.getLogger(__name__)

Rows = NDArray[np.int32]
Norms = NDArray[np.uint16]


@dataclass(frozen=True)
class Kernels:
    """The functions of ``loops`` or ``lookups``; the former says what each does."""

    sums: Callable[[Packed, Bytes, Ints, Floats, Floats], None]
    sums_of_many: Callable[[Packed, Bytes, Ints, Floats, Floats], None]
    passing: Callable[[Floats, Norms, float, float, Rows], int]
    passing_of_many: Callable[[Floats, Norms, Floats, Floats, Rows, Rows], int]
    lengths: Callable[[NDArray[np.uint16], Floats, Ints, int], Doubles]
    exact: Callable[[NDArray[np.uint16], Floats, Ints, Doubles, Ints, int], Doubles]
    grouped: Callable[[NDArray[np.int32], int, int], tuple[Ints, NDArray[np.uint32]]]
    partial_means: Callable[
        [Ints, NDArray[np.uint32], Ints, Floats, Norms, Floats], tuple[NDArray[np.uint32], Floats]
    ]
    first_listed: Callable[
        [Ints, NDArray[np.uint32], Ints, Floats], tuple[NDArray[np.uint32], Ints]
    ]
    window_scores: Callable[[NDArray[np.uint16], Floats, Floats, Ints, int, Floats], None]


def kernels_of(*modules: ModuleType) -> Kernels:
    """Return the functions of ``loops``, or those of ``lookups``."""
    known = {name: own for module in modules for name, own in vars(module).items()}
    return Kernels(**{name: known[name] for name in Kernels.__dataclass_fields__})


@cache
def load_kernels() -> Kernels:
    """Return the fastest that work here. numba takes part of a second to import."""
    try:
        from app.store.index.loops import lists, scans, vectors
    except ImportError as error:
        logger.warning("numba cannot be used (%s): search takes some four times longer", error)
        return kernels_of(lookups)
    return kernels_of(scans, vectors, lists)
