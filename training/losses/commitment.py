"""Commitment: general vectors stay near their own code and near the other modalities' codes."""

from collections.abc import Mapping

from torch import Tensor

from model.modality import Modality
from training.losses.masking import masked_mean


def commitment(
    general: Mapping[Modality, Tensor],
    quantized: Mapping[Modality, Tensor],
    masks: Mapping[Modality, Tensor],
    *,
    beta: float,
    paired: bool = True,
) -> dict[Modality, Tensor]:
    """Return 2 beta |z - e|^2 + beta (mean over the other modalities of |z - e'|^2).

    With three modalities each other one weighs beta / 2, as in the published code; DCID's
    equation 8 prints half of all that. Steps that a pair does not share are left out of its mean.

    Args:
        general: z, ``[B, T, D]``, before quantization.
        quantized: e, ``[B, T, D]``; no gradient goes to it.
        masks: ``[B, T]``.
        beta: 0.25 in the paper.
        paired: False leaves the other modalities out: beta |z - e|^2, as van den Oord et al. have
            it, which belongs to a codebook that no paired modality moves.

    Source: SRCID eq. 4, second term; multimodal form: DCID eq. 8.
    """
    losses = {}
    for m, z in general.items():
        own = masked_mean((z - quantized[m].detach()).square(), masks[m])
        if not paired:
            losses[m] = beta * own
            continue
        others = [
            masked_mean((z - quantized[n].detach()).square(), masks[m] & masks[n])
            for n in general
            if n != m
        ]
        losses[m] = 2 * beta * own + beta * sum(others, z.new_zeros(())) / max(len(others), 1)
    return losses
