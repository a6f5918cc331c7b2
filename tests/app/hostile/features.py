"""Feature files made to do harm: what their headers promise is not there, or too much."""

import io
import json
import struct

import numpy as np


def _npy(header: str, body: bytes = b"", *, version: int = 1) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode() + body


def _describe(shape: str, dtype: str = "'<f4'", order: str = "False") -> str:
    return f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}}}\n"


def _safetensors(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _tensor(shape: list[int], *offsets: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)}


def _pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return file.getvalue()


def refused() -> dict[str, bytes]:
    """Return, by name, feature files that must be answered with 4xx."""
    good = _tensor([1, 8], 0, 32)
    nan = np.full((1, 8), np.nan, np.float32).tobytes()
    return {
        "npy signature only": b"\x93NUMPY",
        "npy of an unknown version": b"\x93NUMPY\xff\xff" + bytes(99),
        "npy of objects": _pickled(),
        "npy of 10^9 steps": _npy(_describe("(1000000000, 8)")),
        "npy of a size that overflows": _npy(_describe("(4294967296, 4294967296, 8)")),
        "npy of a negative size": _npy(_describe("(-1, 8)"), bytes(32)),
        "npy of a size times zero": _npy(_describe("(10**30, 0, 8)")),
        "npy of nothing": _npy(_describe("(0, 8)")),
        "npy of NaN": _npy(_describe("(1, 8)"), nan),
        "npy of a program": _npy("__import__('os').abort()"),
        "npy of brackets": _npy("(" * 5000),
        "npy header of 4 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
        "npy of strings": _npy(_describe("(1, 8)", "'<U1'"), bytes(32)),
        "npy of records": _npy(_describe("(1, 8)", "[('a', '<f4')]"), bytes(32)),
        "npy of a type of 2^31 bytes": _npy(_describe("(0, 8)", "'V2147483647'")),
        "safetensors header of 2^63": b"\xff" * 7 + b"\x7f{}" + bytes(99),
        "safetensors of nothing": _safetensors({}),
        "safetensors header of noise": _safetensors(b"{" + b"\xff" * 500),
        "safetensors of deep json": _safetensors(b'{"a":' * 50_000),
        "safetensors beyond the file": _safetensors({"audio": _tensor([10**6, 8], 0, 32 * 10**6)}),
        "safetensors of 10^18": _safetensors({"audio": _tensor([2**62, 8], 0, 32)}, bytes(32)),
        "safetensors backwards": _safetensors({"audio": _tensor([1, 8], 32, 0)}, bytes(32)),
        "safetensors that overlap": _safetensors({"audio": good, "video": good}, bytes(32)),
        "safetensors of NaN": _safetensors({"audio": good}, nan),
        "safetensors of another shape": _safetensors(
            {"audio": _tensor([32], 0, 32, dtype="U8")}, nan
        ),
        "safetensors of another name": _safetensors({"__class__": good}, bytes(32)),
    }
