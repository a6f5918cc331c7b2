"""Weights to start from: those of a checkpoint instead of random ones."""

import copy
import logging
from typing import Any, cast

import torch

from model.errors import ConfigError
from model.network.general import GeneralEncoder
from model.srcid import SRCID
from training.config import TrainConfig

logger = logging.getLogger(__name__)

# What may differ: it changes how a network is trained or used, not what its weights mean.
FREE = {
    "dropout",
    "detach_targets",
    "max_steps",
    "quantizer.decay",
    "quantizer.joint",
    "quantizer.min_share",
    "quantizer.multimodal",
    "quantizer.revive_after",
}


# What may differ beside that where the checkpoint is aligned: all but its projections.
ALIGNED_FREE = {
    "attention",
    "feedforward_dim",
    "num_heads",
    "num_layers",
    "picture_steps",
    "queries",
    "residual",
    "standardize_specific",
    "transformer_layers",
}
ALIGNED_PARTS = ("quantizer", "residual_quantizer")  # and every specific_dim


def initial_model(config: TrainConfig) -> SRCID:
    """Return the network that a run begins with, the same at every call.

    Raises:
        CheckpointError: The checkpoint to start from is missing or damaged.
        ConfigError: It is of another architecture, or none is named and a share of it shall stay.
    """
    if config.optim.start_share and config.init is None:
        raise ConfigError(
            f"optim.start_share is {config.optim.start_share}, but training begins with random "
            "weights: name a checkpoint to start from (--init), or set optim.start_share to 0"
        )
    torch.manual_seed(config.seed)
    model = SRCID(config.model)
    if config.init is not None:
        load_initial(model, config.init)
    return model


@torch.no_grad()
def with_share_of(start: SRCID, model: SRCID, share: float) -> SRCID:
    """Return a copy of ``model`` whose general encoders have a share of the weights of ``start``.

    The codebooks are those of ``model``.
    Source: WiSE-FT, Wortsman et al., CVPR 2022.
    """
    mixed = copy.deepcopy(model)
    for own, began in zip(mixed.stages, start.stages, strict=True):
        for one, other in zip(own.general.parameters(), began.general.parameters(), strict=True):
            one.lerp_(other.to(one.device), share)
    return mixed


def load_initial(model: SRCID, checkpoint: str) -> None:
    """Give ``model`` the weights and codebooks of ``checkpoint``.

    Of a checkpoint that was aligned (``srcid align``) the general encoders are projections alone.
    A network of another architecture takes these for its first layer, and begins the rest anew.

    Args:
        model: Of the same architecture, or for an aligned start; on any device.
        checkpoint: A folder, or the name of a shipped one.

    Raises:
        CheckpointError: It is missing or damaged.
        ConfigError: It is of another architecture.
    """
    initial = SRCID.from_pretrained(checkpoint, download=False)
    ours, theirs = (_fields(own.config.model_dump(mode="json")) for own in (model, initial))
    different = [
        field
        for field in sorted(ours.keys() | theirs.keys())
        if field not in FREE and ours.get(field) != theirs.get(field)
    ]
    if different and _is_aligned(initial) and all(map(_is_free_of_aligned, different)):
        _take_projections(model, initial)
        logger.info(
            "layer 1 starts from the projections of %s; all else is initialised", checkpoint
        )
        return
    if different:
        differences = [
            f"{field} is {theirs.get(field)!r} there and {ours.get(field)!r} here"
            for field in different
        ]
        raise ConfigError(
            f"checkpoint {checkpoint} has another architecture: {'; '.join(differences[:3])}"
            f"{' ...' if len(differences) > 3 else ''}. Train the recipe that made it, or set "
            "these fields of `model` to its values"
        )
    model.load_state_dict(initial.state_dict())


def _encoders(model: SRCID) -> dict[str, GeneralEncoder]:
    """Return layer 1's general encoders by modality."""
    return {m: cast("GeneralEncoder", own) for m, own in model.stages[0].general.items()}


def _is_aligned(model: SRCID) -> bool:
    return not model.stems and all(own.adds_nothing for own in _encoders(model).values())


def _is_free_of_aligned(field: str) -> bool:
    return (
        field in ALIGNED_FREE
        or field.split(".")[0] in ALIGNED_PARTS
        or field.endswith(".specific_dim")
    )


def _take_projections(model: SRCID, initial: SRCID) -> None:
    theirs = _encoders(initial)
    for m, own in _encoders(model).items():
        own.project.load_state_dict(theirs[m].project.state_dict())
        own.add_nothing()


def _fields(tree: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Return the leaves of a configuration by their dotted paths."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        inner = _fields(value, f"{path}{key}.") if isinstance(value, dict) else None
        found |= inner if inner is not None else {f"{path}{key}": value}
    return found
