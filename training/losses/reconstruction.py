"""Reconstruction: codes and the specific result together must give the features back."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from model.modality import Modality
from training.losses.masking import masked_mean


def reconstruction(
    decoded: Mapping[Modality, Tensor],
    targets: Mapping[Modality, Tensor],
    masks: Mapping[Modality, Tensor],
) -> dict[Modality, Tensor]:
    """Return each modality's mean squared error over all elements of ``[B, T, *F]``.

    Source: the first term of SRCID eq. 4.
    """
    # One kernel each way: the map's errors are the largest tensors of a step.
    errors = {m: F.mse_loss(own, targets[m], reduction="none") for m, own in decoded.items()}
    return {m: masked_mean(own, masks[m]) for m, own in errors.items()}
