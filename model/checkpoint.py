"""A checkpoint is a folder: ``config.json`` and ``model.safetensors``. No pickle is ever read."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from model.config import SRCIDConfig
from model.errors import CheckpointError, reason_of
from model.files import atomic_folder

CONFIG, WEIGHTS = "config.json", "model.safetensors"
SHIPPED = Path(__file__).parent / "pretrained"
NAMED = 3  # tensors of a kind that an error names
# How media and sentences become features: decoding, preprocessing, backbones. Whatever changes
# features by more than float32 rounds raises it, since old and new codes are not to mix in one
# index (tests/model/test_features.py; docs/decisions/0029-what-a-fingerprint-covers.md).
FEATURES = 1


def shipped() -> list[str]:
    """Return the names of the checkpoints that come with the package."""
    return sorted(folder.name for folder in SHIPPED.iterdir() if (folder / CONFIG).is_file())


def shipped_as(known: str) -> str | None:
    """Return the name of the shipped checkpoint whose fingerprint is ``known``; None: none's is."""
    return next((name for name in shipped() if fingerprint(SHIPPED / name) == known), None)


def locate(checkpoint: str | Path) -> Path:
    """Return the folder of ``checkpoint``: a path, or the name of a shipped one.

    Raises:
        CheckpointError: There is neither.
    """
    for folder in (Path(checkpoint), SHIPPED / str(checkpoint)):
        if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
            return folder
    raise CheckpointError(
        f"no checkpoint {str(checkpoint)!r}: it is neither a folder with {CONFIG} and {WEIGHTS} "
        f"nor one of the shipped {', '.join(shipped())}; train one with `srcid train`"
    )


def read_checkpoint(folder: Path) -> tuple[SRCIDConfig, dict[str, Tensor]]:
    """Return configuration and weights, floats as float32.

    Raises:
        CheckpointError: A file is missing, is not what its name says, or holds non-finite numbers.
    """
    try:
        config = SRCIDConfig.model_validate_json((folder / CONFIG).read_bytes())
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder} is not a readable checkpoint: {error}") from error
    except ValidationError as error:
        raise CheckpointError(f"{folder / CONFIG}: {reason_of(error)}") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(f"{folder / WEIGHTS}: {name} holds NaN or infinity; copy it anew")
    floats = {n: t.to(torch.float32) if t.is_floating_point() else t for n, t in tensors.items()}
    return config, floats


def misfit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """Return what keeps the tensors ``given`` from a network's own: "2 missing: a, b"; "" if none.

    Args:
        wanted: The network's state dict.
        given: What is to be loaded into it.
    """
    shared = wanted.keys() & given.keys()
    kinds = {
        "missing": wanted.keys() - given.keys(),
        "unknown": given.keys() - wanted.keys(),
        "of another shape": {name for name in shared if wanted[name].shape != given[name].shape},
    }
    return "; ".join(
        f"{len(names)} {kind}: {', '.join(sorted(names)[:NAMED])}{', ...' * (len(names) > NAMED)}"
        for kind, names in kinds.items()
        if names
    )


def write_checkpoint(folder: Path, config: SRCIDConfig, tensors: Mapping[str, Tensor]) -> None:
    """Write the folder so that a reader, or a crash, sees both files of one run or neither."""
    with atomic_folder(folder) as new:
        (new / CONFIG).write_text(json.dumps(config.model_dump(mode="json"), indent=2) + "\n")
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, new / WEIGHTS)
        (new / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone


def fingerprint(folder: Path) -> str:
    """Return 16 hex digits: the same only where the same media have the same codes.

    They cover configuration, weights, and how features are made (``FEATURES``).
    """
    digest = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        digest.update((folder / name).read_bytes())
    if FEATURES > 1:  # version 1 is from before there were versions
        digest.update(f"features {FEATURES}".encode())
    return digest.hexdigest()[:16]
