"""200 checkpoints that somebody or something has changed: each opens, or is a clear error (R9)."""

import json
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.encoder import Encoder
from model.errors import SRCIDError

MUTATIONS = 200
VALUES: list[Any] = [
    None, True, -1, 0, 1, 3, 10**9, 10**30, 0.5, "", "tiny-audio", "../../etc/passwd", [], [1], {},
    {"kind": "vq"}, float("nan"),
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        inner = list(value.items() if isinstance(value, dict) else enumerate(value))
    return [path, *(place for key, own in inner for place in places(own, (*path, key)))]


def change_json(path: Path, rng: random.Random) -> None:
    """Replace, remove or add a value."""
    content = json.loads(path.read_text())
    place = rng.choice([own for own in places(content) if own])
    parent = content
    for key in place[:-1]:
        parent = parent[key]
    kind = rng.choice(["replace", "replace", "remove", "add"])
    if kind == "remove":
        del parent[place[-1]]
    elif kind == "add" and isinstance(parent, dict):
        parent["else"] = rng.choice(VALUES)
    else:
        parent[place[-1]] = rng.choice(VALUES)
    path.write_text(json.dumps(content))


def change_bytes(path: Path, rng: random.Random) -> None:
    """Overwrite, remove or insert some bytes."""
    content = bytearray(path.read_bytes())
    start = rng.randrange(min(len(content), rng.choice([16, 2000, len(content)])))
    end = start + rng.choice([0, 1, 8, len(content)])
    content[start:end] = rng.randbytes(rng.choice([0, 1, 8]))
    path.write_bytes(content)


def change_header(path: Path, rng: random.Random) -> None:
    """Change what safetensors says about a tensor, so that it is still JSON."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    name = rng.choice([own for own in header if own != "__metadata__"])
    kind = rng.choice(["shape", "dtype", "offsets", "rename", "remove", "size"])
    if kind == "shape":
        header[name]["shape"] = rng.choice([[], [0], [10**12], [1, *header[name]["shape"]], [-1]])
    elif kind == "dtype":
        header[name]["dtype"] = rng.choice(["F16", "I64", "BOOL", "F64", "X9"])
    elif kind == "offsets":
        header[name]["data_offsets"] = rng.choice([[0, 4], [0, 10**12], [8, 0], [-4, 4]])
    elif kind == "rename":
        header[rng.choice(["else", "layers.0.else", ""])] = header.pop(name)
    elif kind == "remove":
        del header[name]
    text = json.dumps(header).encode()
    length = rng.choice([0, 2**63, len(text) + 8]) if kind == "size" else len(text)
    path.write_bytes(struct.pack("<Q", length) + text + content[8 + size :])


CHANGES: list[tuple[str, Callable[[Path, random.Random], None]]] = [
    ("config.json", change_json),
    ("config.json", change_bytes),
    ("model.safetensors", change_bytes),
    ("model.safetensors", change_header),
]


@pytest.mark.parametrize("seed", range(MUTATIONS))
def test_a_changed_checkpoint_opens_or_is_a_clear_error(
    tiny_checkpoint: Path, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    folder = tmp_path / "changed"
    shutil.copytree(tiny_checkpoint, folder)
    name, change = CHANGES[seed % len(CHANGES)]
    change(folder / name, rng)
    message = "it opens"
    try:
        Encoder.from_pretrained(folder)
    except SRCIDError as error:
        message = str(error)
    assert message == "it opens" or len(message) > 20
