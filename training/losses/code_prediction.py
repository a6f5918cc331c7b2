"""Code prediction: each modality of a clip foretells the code that the clip's vote chooses."""

from collections.abc import Mapping

from torch import Tensor

from model.modality import Modality
from model.quantizers.codebook import clip_vote
from training.losses.masking import time_mean

FLOOR = 1e-6  # a probability below counts as this: one clip cannot outweigh a batch


def code_prediction(
    general: Mapping[Modality, Tensor],
    table: Tensor,
    masks: Mapping[Modality, Tensor],
    *,
    temperature: float,
) -> dict[Modality, Tensor]:
    """Return the cross-entropy, in nats, of each modality's soft codes with those of the vote.

    A step's soft codes are softmax_k(-|z - e_k|^2 / (2 D temperature)); a modality's are the mean
    of its steps'. The vote is the mean of the modalities, without gradient: they move to it, so
    that what is seen, heard and named comes to choose the same code.

    Args:
        general: z, ``[B, T, D]``.
        table: The codebook ``[L, D]``; it gets no gradient.
        masks: ``[B, T]``; a clip counts where it has the modality.
        temperature: In units of the squared length of a vector of variance 1, twice.

    An extension, not part of SRCID.
    """
    vote, _ = clip_vote(general, masks)
    target = soft_codes(vote, table, temperature).detach()  # [B, L]
    losses = {}
    for m, z in general.items():
        # Padding is left out before the softmax: there are many codes.
        steps = soft_codes(z[masks[m]], table, temperature)  # [N, L]
        each = z.new_zeros(*z.shape[:2], len(table)).masked_scatter(masks[m].unsqueeze(-1), steps)
        found = time_mean(each, masks[m])
        present = masks[m].any(1)
        entropy = -(target * (found + FLOOR).log()).sum(1)  # [B]
        losses[m] = (entropy * present).sum() / present.sum().clamp(min=1)
    return losses


def soft_codes(z: Tensor, table: Tensor, temperature: float) -> Tensor:
    """Return how near each code of ``table`` ``[L, D]`` is to ``z`` ``[..., D]``: shares."""
    distances = table.square().sum(-1) - 2 * z @ table.T  # |z|^2 is the same for all codes
    return (-distances / (2 * z.shape[-1] * temperature)).softmax(-1)
