"""Vector quantization: each step becomes the nearest vector of one codebook."""

from collections.abc import Mapping

from torch import Tensor

from model.config import VQConfig
from model.modality import Modality
from model.quantizers.base import Quantizer
from model.quantizers.codebook import EMACodebook


class VectorQuantizer(Quantizer):
    """One codebook, moved by MM-EMA. Source: SRCID eq. 3; van den Oord et al., 2017."""

    num_codebooks = 1

    def __init__(self, dim: int, config: VQConfig) -> None:
        super().__init__()
        self.dim, self.codebook_size = dim, config.codebook_size
        self.codebook = EMACodebook(
            size=config.codebook_size,
            dim=dim,
            decay=config.decay,
            multimodal=config.multimodal,
            revive_after=config.revive_after,
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

    def update(self, z: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]) -> None:
        """Move the codebook by MM-EMA towards ``z`` ``[B, T, D]``."""
        codes = {modality: self.codebook.nearest(own) for modality, own in z.items()}
        self.codebook.update(z, codes, masks)
