"""Ready backbone features from a file: npy holds one modality, safetensors one or several.

Nothing in the file is believed: no pickle is read, and what its header promises must be there.
Shape letters: T steps; F is a modality's feature shape.
"""

import ast
import math
import operator
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from model.config import SRCIDConfig
from model.errors import MediaError, MediaTooLarge
from model.modality import Modality

NPY = b"\x93NUMPY"
MAX_NPY_HEADER = 10_000  # bytes
DAMAGED = (ValueError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError)
HEADER_BYTES = 8  # of safetensors: the length of the JSON that follows

Features = Mapping[Modality, NDArray[np.float32]]  # [T, *F] each


def is_feature_file(data: bytes) -> bool:
    """Return whether ``data`` begins as npy or safetensors does; no kind of media does."""
    if data.startswith(NPY):
        return True
    length = int.from_bytes(data[:HEADER_BYTES], "little")
    begins = data[HEADER_BYTES : HEADER_BYTES + 1]
    return begins == b"{" and HEADER_BYTES + length <= len(data)


def read_features(
    data: bytes, config: SRCIDConfig, *, modality: Modality | None, max_steps: int
) -> Features:
    """Return the features in ``data``, as the network of ``config`` takes them.

    Args:
        data: npy ``[T, *F]``, or safetensors with a tensor for each modality, by its name.
        config: Says which modalities and which shapes.
        modality: What an npy file is of; of safetensors, the only tensor to use.
        max_steps: Most steps T.

    Raises:
        MediaError: It is damaged, or has other names, shapes or types.
        MediaTooLarge: It has more than ``max_steps`` steps.
    """
    arrays = _read_npy(data, modality) if data.startswith(NPY) else _read_safetensors(data)
    if modality is not None:
        arrays = {name: array for name, array in arrays.items() if name == modality}
    if not arrays:
        raise MediaError(f"the features have no tensor named {modality or 'by a modality'!r}")
    return {
        _known(name, config): _checked(name, array, config, max_steps)
        for name, array in arrays.items()
    }


def _read_npy(data: bytes, modality: Modality | None) -> dict[str, NDArray[np.generic]]:
    if modality is None:
        raise MediaError("an npy file does not say what it is of: name it by the field modality")
    # Not numpy's own reader: it tries to mend headers, by a tokenizer and with warnings.
    size_bytes = {1: 2, 2: 4}.get(data[6] if len(data) > 6 else 0, 0)
    begin = len(NPY) + 2 + size_bytes
    end = begin + int.from_bytes(data[begin - size_bytes : begin], "little")
    try:
        header = ast.literal_eval(data[begin : min(end, begin + MAX_NPY_HEADER)].decode("ascii"))
        shape = tuple(operator.index(size) for size in header["shape"])
        dtype, is_fortran = np.dtype(header["descr"]), bool(header["fortran_order"])
    except DAMAGED as error:
        raise MediaError(f"a damaged npy file ({error}): write it with numpy.save") from error
    body = data[end:]
    promised = dtype.itemsize * math.prod(shape)
    if dtype.hasobject or is_fortran or min(shape, default=0) < 0 or len(body) != promised:
        raise MediaError(
            f"an npy file of {len(body)} bytes that says {shape} {dtype}: write the whole array, "
            "C-contiguous numbers, with numpy.save"
        )
    return {modality: np.frombuffer(body, dtype).reshape(shape)}


def _read_safetensors(data: bytes) -> dict[str, NDArray[np.generic]]:
    try:
        return dict(load(data))
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise MediaError(
            f"a safetensors file that does not load ({error}): write float32 or float16 tensors "
            "with safetensors.numpy.save_file"
        ) from error


def _known(name: str, config: SRCIDConfig) -> Modality:
    if name not in config.modalities:
        known = ", ".join(config.modalities)
        raise MediaError(f"a tensor named {name!r}: this checkpoint takes {known}")
    return Modality(name)


def _checked(
    name: str, array: NDArray[np.generic], config: SRCIDConfig, max_steps: int
) -> NDArray[np.float32]:
    shape = config.modalities[Modality(name)].feature_shape
    wanted = ", ".join(str(size) for size in ("T", *shape))
    if array.shape[1:] != shape or not array.size or array.dtype.kind != "f":
        raise MediaError(
            f"{name} features of {list(array.shape)} {array.dtype}: this checkpoint takes "
            f"[{wanted}] of floating point, T at least 1"
        )
    if len(array) > max_steps:
        raise MediaTooLarge(
            f"{name} features of {len(array)} steps, of at most {max_steps}; send them in parts, "
            "or raise max_steps"
        )
    with np.errstate(over="ignore"):
        features = array.astype(np.float32)
    if not np.isfinite(features).all():
        raise MediaError(f"{name} features hold NaN or numbers too large: send finite ones")
    return features
