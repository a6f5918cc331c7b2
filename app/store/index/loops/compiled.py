"""How the loops are compiled."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])
# Sums are taken in the order that is fastest, the same one for every stream.
ANY_ORDER = {"reassoc", "contract", "nsz"}


def compiled(loop: Loop) -> Loop:
    """Compile at first use, without the GIL; kept on disk where a folder for it can be written."""
    try:
        return cast(Loop, numba.njit(nogil=True, fastmath=ANY_ORDER, cache=True)(loop))
    except RuntimeError:  # neither beside this file nor in the user's cache folder
        return cast(Loop, numba.njit(nogil=True, fastmath=ANY_ORDER)(loop))
