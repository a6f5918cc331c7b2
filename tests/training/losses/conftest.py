"""A small paired batch, whole or with gaps."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from model.modality import Modality

B, T, D = 5, 6, 4


class Paired(NamedTuple):
    """General vectors ``[B, T, D]`` with their masks ``[B, T]``."""

    z: dict[Modality, Tensor]
    masks: dict[Modality, Tensor]


@pytest.fixture(params=["whole", "gaps"])
def paired(request: pytest.FixtureRequest) -> Paired:
    """Three modalities; with gaps: short sentences, and clips that lack a modality."""
    torch.manual_seed(0)
    z = {m: torch.randn(B, T, D, dtype=torch.float64) for m in Modality}
    masks = {m: torch.ones(B, T, dtype=torch.bool) for m in Modality}
    if request.param == "gaps":
        masks[Modality.TEXT][0, 2:] = False
        masks[Modality.TEXT][1] = False
        masks[Modality.AUDIO][2] = False
        masks[Modality.VIDEO][3, 1:] = False
    return Paired(z, masks)
