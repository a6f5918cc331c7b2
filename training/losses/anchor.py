"""The anchor: general vectors stay near those of the network that training began with."""

from collections.abc import Mapping

from torch import Tensor

from model.modality import Modality
from training.losses.masking import masked_mean


def anchor(
    general: Mapping[Modality, Tensor],
    initial: Mapping[Modality, Tensor],
    masks: Mapping[Modality, Tensor],
) -> dict[Modality, Tensor]:
    """Return the mean squared distance of each modality's vectors from the initial ones.

    What a start knows of things that no example shows would be forgotten without it.

    Args:
        general: ``[B, T, D]``.
        initial: ``[B, T, D]`` of the same inputs, by the encoders as they were.
        masks: ``[B, T]``.

    An extension, not part of SRCID.
    """
    return {
        m: masked_mean((z - initial[m].detach()).square(), masks[m]) for m, z in general.items()
    }
