"""Vector quantization: each step becomes the nearest vector of one codebook."""

from collections.abc import Mapping

import torch
from torch import Tensor

from model.config import VQConfig
from model.modality import Modality
from model.quantizers.base import Quantizer
from model.quantizers.codebook import EMACodebook, clip_vote, paired_mean


class VectorQuantizer(Quantizer):
    """One codebook, moved by MM-EMA. Source: SRCID eq. 3; van den Oord et al., 2017.

    With ``joint``, an extension, the codebook follows the means of paired steps instead: codes
    gather where modalities meet, so that these come to choose the same one. ``min_share`` then
    takes out of use what was left to a single modality, since no mean chooses it.
    """

    num_codebooks = 1

    def __init__(self, dim: int, config: VQConfig) -> None:
        super().__init__()
        self.dim, self.codebook_size = dim, config.codebook_size
        self.joint, self.by_clip = config.joint, config.vote == "clip"
        self.codebook = EMACodebook(
            size=config.codebook_size,
            dim=dim,
            decay=config.decay,
            multimodal=config.multimodal,
            revive_after=config.revive_after,
            min_share=config.min_share,
        )

    def encode(self, z: Tensor) -> Tensor:
        """Return the codes ``[B, 1, T]`` nearest to ``z`` ``[B, T, D]``."""
        return self.codebook.nearest(z).unsqueeze(1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors ``[B, T, D]`` that ``codes`` ``[B, 1, T]`` stand for."""
        return self.codebook.vectors[codes.squeeze(1)]

    def tables(self) -> Tensor:
        """Return the codebook as ``[1, L, D]``."""
        return self.codebook.vectors.unsqueeze(0)

    @torch.no_grad()
    def update(self, z: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]) -> None:
        """Move the codebook by MM-EMA, or jointly, towards ``z`` ``[B, T, D]``."""
        if self.joint:
            any_modality = next(iter(z))  # stands for all: each step has one vector
            if self.by_clip:
                vote, present = (own.unsqueeze(1) for own in clip_vote(z, masks))
            else:
                vote, present = paired_mean(z, masks)
            z, masks = {any_modality: vote}, {any_modality: present}
        codes = {modality: self.codebook.nearest(own) for modality, own in z.items()}
        self.codebook.update(z, codes, masks)
