"""Weights to start from: those of a checkpoint instead of random ones."""

from typing import Any

from model.errors import ConfigError
from model.srcid import SRCID

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


def load_initial(model: SRCID, checkpoint: str) -> None:
    """Give ``model`` the weights and codebooks of ``checkpoint``.

    Args:
        model: Of the same architecture, on any device.
        checkpoint: A folder, or the name of a shipped one.

    Raises:
        CheckpointError: It is missing or damaged.
        ConfigError: It is of another architecture.
    """
    initial = SRCID.from_pretrained(checkpoint)
    ours, theirs = (_fields(own.config.model_dump(mode="json")) for own in (model, initial))
    differences = [
        f"{field} is {theirs.get(field)!r} there and {ours.get(field)!r} here"
        for field in sorted(ours.keys() | theirs.keys())
        if field not in FREE and ours.get(field) != theirs.get(field)
    ]
    if differences:
        raise ConfigError(
            f"the checkpoint {checkpoint} is of another architecture: {'; '.join(differences[:3])}"
            f"{' ...' if len(differences) > 3 else ''}. Train the recipe that made it, or set "
            "these fields of `model` to what they are there"
        )
    model.load_state_dict(initial.state_dict())


def _fields(tree: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Return the leaves of a configuration by their dotted paths."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        inner = _fields(value, f"{path}{key}.") if isinstance(value, dict) else None
        found |= inner if inner is not None else {f"{path}{key}": value}
    return found
