"""What every quantizer is: vectors in, codes of a finite vocabulary out, and back.

Shape letters: B batch, T time steps, D hidden dim, L codebook size, Q codes a step.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from model.modality import Modality


class Quantized(NamedTuple):
    """One modality's batch after quantization."""

    z: Tensor  # [B, T, D] the decoded codes; its gradient is that of the input
    codes: Tensor  # [B, Q, T] int64, each in [0, codebook_size)


def straight_through(z: Tensor, decoded: Tensor) -> Tensor:
    """Return ``decoded`` with the gradient of ``z`` (both ``[B, T, D]``)."""
    return z + (decoded - z).detach()


class Quantizer(nn.Module, ABC):
    """The vocabulary that the modalities of one SRCID layer share.

    ``forward`` never changes the vocabulary: a batch has the same codes under ``train()``
    and ``eval()``, however often it is encoded. Training moves the vocabulary by calling
    ``update`` once an optimizer step.
    """

    dim: int
    codebook_size: int
    num_codebooks: int  # Q: 1 for VQ and FSQ, n for RVQ-n

    @abstractmethod
    def encode(self, z: Tensor) -> Tensor:
        """Return the codes ``[B, Q, T]`` nearest to ``z`` ``[B, T, D]``."""

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors ``[B, T, D]`` that ``codes`` ``[B, Q, T]`` stand for."""

    @abstractmethod
    def tables(self) -> Tensor:
        """Return ``[Q, L, D]``: ``decode`` is the sum of one row of each table."""

    @abstractmethod
    def update(self, z: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]) -> None:
        """Move the vocabulary towards one paired batch; nothing to do where it is fixed.

        Args:
            z: ``[B, T, D]`` each, paired by clip and step.
            masks: ``[B, T]`` each, false where a step is padding or the modality is absent.
        """

    def forward(self, z: Tensor) -> Quantized:
        """Quantize ``z`` ``[B, T, D]``."""
        codes = self.encode(z)
        return Quantized(straight_through(z, self.decode(codes)), codes)
