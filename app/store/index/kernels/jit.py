"""How the kernels are compiled: by numba, whose import takes 0.5 s."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])
# Sums may be taken in the fastest order, which is the same for every stream.
ANY_ORDER = {"reassoc", "contract", "nsz"}


def jit(loop: Loop) -> Loop:
    """Compile at first use, without the GIL; cached on disk if a folder for it is writable."""
    try:
        return cast(Loop, numba.njit(nogil=True, fastmath=ANY_ORDER, cache=True)(loop))
    except RuntimeError:  # neither the folder of this file nor the user's cache is writable
        return cast(Loop, numba.njit(nogil=True, fastmath=ANY_ORDER)(loop))
