"""Weights that the user has on disk: an environment variable names the file or the folder."""

import os
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from model.errors import CheckpointError, ConfigError


def named_by(variable: str, *, what: str) -> Path:
    """Return the path that the environment variable ``variable`` holds.

    Args:
        variable: Such as ``SRCID_VGG19``.
        what: What has to lie there, for the user who has not set it.

    Raises:
        ConfigError: It is not set, or nothing is there.
    """
    value = os.environ.get(variable)
    if not value:
        raise ConfigError(
            f"this backbone's weights come with no package: set the environment variable "
            f"{variable} to the path of {what}"
        )
    path = Path(value).expanduser()
    if not path.exists():
        raise ConfigError(f"{variable} is {value!r}, where nothing is: name {what}")
    return path


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict, from ``.safetensors`` or from what ``torch.save`` wrote.

    Of a pickle only tensors are read: the file is not trusted.

    Raises:
        CheckpointError: It is damaged, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} is not a readable file of weights: {error}") from error
    if not isinstance(weights, dict) or not all(isinstance(x, Tensor) for x in weights.values()):
        raise CheckpointError(f"{path} holds no state dict: save `network.state_dict()` to it")
    return weights
