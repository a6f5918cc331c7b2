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

from model.config import SRCIDConfig, TowerConfig
from model.errors import CheckpointError, ConfigError, reason_of
from model.files import atomic_folder
from model.hub import ID, Snapshot, find_snapshot, is_hub_id, push_folder

CONFIG, WEIGHTS = "config.json", "model.safetensors"
SHIPPED = Path(__file__).parent / "pretrained"
NAMED = 3  # tensors of a kind that an error names
# How media and sentences become features: decoding, preprocessing, backbones. Whatever changes
# features by more than float32 rounds raises it, since old and new codes are not to mix in one
# index (tests/model/test_features.py; docs/decisions/0029-what-a-fingerprint-covers.md).
FEATURES = 2


def shipped() -> list[str]:
    """Return the names of the checkpoints that come with the package."""
    return sorted(folder.name for folder in SHIPPED.iterdir() if (folder / CONFIG).is_file())


def shipped_as(known: str) -> str | None:
    """Return the name of the shipped checkpoint whose fingerprint is ``known``; None: none's is."""
    return next((name for name in shipped() if fingerprint(SHIPPED / name) == known), None)


def locate(checkpoint: str | Path, *, download: bool = False) -> Path:
    """Return the folder of ``checkpoint``.

    Args:
        checkpoint: A folder; the name of a shipped checkpoint; or one of the Hugging Face Hub,
            ``OWNER/NAME`` or ``hf:OWNER/NAME@REVISION``. A folder comes first.
        download: Fetch one of the Hub that is not cached.

    Raises:
        CheckpointError: There is none.
    """
    name = str(checkpoint)
    for folder in (Path(checkpoint), SHIPPED / name):
        if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
            return folder
    missing = (
        f"no checkpoint {name!r}: it is neither a folder with {CONFIG} and {WEIGHTS} "
        f"nor one of the shipped {', '.join(shipped())}"
    )
    source = name if is_hub_id(name) else f"hf:{name}"
    if not ID.fullmatch(source):
        raise CheckpointError(f"{missing}; train one with `srcid train`")
    try:
        return find_snapshot(source, download=download).folder
    except ConfigError as error:
        raise CheckpointError(f"{missing}, and as a model of the Hub: {error}") from error


def push_to_hub(checkpoint: str | Path, repo: str, *, private: bool = False) -> str:
    """Upload a checkpoint to the Hugging Face Hub; return the commit.

    ``Encoder.from_pretrained(repo)`` then loads it anywhere. Weights, configuration, calibration
    and model card (``README.md``) are uploaded, backbones are not: they are downloaded from where
    they come from.

    Args:
        checkpoint: A folder, or the name of a shipped one.
        repo: OWNER/NAME; created if there is none.
        private: Whether a new repository is visible to its owner alone.

    Raises:
        CheckpointError: The checkpoint is missing.
        ConfigError: The Hub refuses it (set HF_TOKEN to a token that may write) or cannot be
            reached, or a backbone is a folder of this machine.
    """
    folder = locate(checkpoint)
    here = [tower.source for tower in _towers(read_config(folder)) if tower.commit is None]
    if here:
        raise ConfigError(
            f"{checkpoint} is built on the folder {here[0]}, which nobody else has: push that "
            "model to the Hub too, and align and train with its name there"
        )
    return push_folder(folder, repo, private=private)


def is_checkpoint(folder: Path) -> bool:
    """Tell whether ``folder`` holds a checkpoint of ours rather than a model of transformers."""
    try:
        return "modalities" in json.loads((folder / CONFIG).read_bytes())
    except (OSError, ValueError):
        return False


def read_config(folder: Path) -> SRCIDConfig:
    """Return the configuration of a checkpoint.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    try:
        return SRCIDConfig.model_validate_json((folder / CONFIG).read_bytes())
    except OSError as error:
        raise CheckpointError(f"{folder} is not a readable checkpoint: {error}") from error
    except ValidationError as error:
        raise CheckpointError(f"{folder / CONFIG}: {reason_of(error)}") from error


def fetch_backbones(config: SRCIDConfig) -> list[Snapshot]:
    """Download the models of the Hub that ``config`` names, at its commits; return their files.

    What is cached needs no network.

    Raises:
        ConfigError: One cannot be had.
    """
    models = dict.fromkeys((tower.source, tower.commit) for tower in _towers(config))
    return [find_snapshot(source, commit=commit, download=True) for source, commit in models]


def _towers(config: SRCIDConfig) -> list[TowerConfig]:
    backbones = [own.backbone for own in config.modalities.values()]
    pretrained = [own for own in backbones if not isinstance(own, str)]
    return [tower for own in pretrained for tower in own.towers]


def read_checkpoint(folder: Path) -> tuple[SRCIDConfig, dict[str, Tensor]]:
    """Return configuration and weights, floats as float32.

    Raises:
        CheckpointError: A file is missing, is not what its name says, or holds non-finite numbers.
    """
    config = read_config(folder)
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder} is not a readable checkpoint: {error}") from error
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
