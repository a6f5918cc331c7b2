"""Arrays out of pickles that nobody vouches for.

A pickle is a program. This one can reach nothing but stand-ins for the few names by which numpy
rebuilds an array: numpy's own believe what they are told about memory. For the same reason it is
run by the interpreter in Python: the one in C allocates what a number in the pickle says.
"""

import io
import pickle
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


def unpickle_array(data: bytes) -> NDArray[np.generic]:
    """Return the array of numbers that is pickled in ``data``.

    Raises:
        UnpicklingError: It is anything else, or damaged.
    """
    try:
        found = _ArrayUnpickler(io.BytesIO(data)).load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle fails wherever its program runs off
        raise pickle.UnpicklingError(f"a damaged pickle ({error!r})") from error
    if not isinstance(found, _Array) or found.array is None:
        raise pickle.UnpicklingError("the pickle does not hold an array of numbers")
    return found.array


class _ArrayUnpickler(pickle._Unpickler):  # the one in Python
    def find_class(self, module: str, name: str) -> type:
        found = STAND_INS.get((module.replace("numpy.core", "numpy._core"), name))
        if found is None:
            raise pickle.UnpicklingError(
                f"the pickle loads {module}.{name}, which no array of numbers needs"
            )
        return found


class _Dtype:
    """The stand-in for ``numpy.dtype``."""

    def __init__(self, code: str, align: bool, copy: bool) -> None:
        if code not in NUMBERS:
            raise pickle.UnpicklingError(f"the array has type {code!r}, which is not numeric")
        self.code = code

    def __setstate__(self, state: tuple[object, ...]) -> None:
        order = state[1]
        if order not in ("<", ">", "|"):
            raise pickle.UnpicklingError(f"unsupported byte order {order!r}")
        self.code = f"{order}{self.code}"


class _Array:
    """The stand-in for ``numpy.ndarray``, and for the function that makes an empty one."""

    def __init__(self, *made_from: object) -> None:
        self.array: NDArray[np.generic] | None = None

    def __setstate__(self, state: tuple[int, tuple[int, ...], _Dtype, bool, bytes]) -> None:
        _, shape, dtype, is_fortran, data = state
        flat = np.frombuffer(data, dtype.code)
        self.array = flat.reshape(shape, order="F" if is_fortran else "C")


class _BufferedArray(_Array):
    """The stand-in for the function that protocol 5 makes a whole array by."""

    def __init__(self, data: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> None:
        super().__init__()
        self.__setstate__((1, shape, dtype, order == "F", data))


class _Bytes:
    """The stand-in for ``codecs.encode``, which old protocols write bytes by."""

    def __new__(cls, text: str, encoding: str) -> bytes:  # type: ignore[misc]  # bytes, by design
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"unsupported encoding {encoding!r} of bytes")
        return text.encode("latin1")

    def __setstate__(self, state: object) -> NoReturn:  # without one, pickle would write fields
        raise pickle.UnpicklingError("the pickle sets a state on bytes, which have none")


STAND_INS: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.numeric", "_frombuffer"): _BufferedArray,
    ("_codecs", "encode"): _Bytes,
}
