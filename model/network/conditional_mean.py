"""What a code already says of a vector: the mean of the vectors that had this code.

Shape letters: B batch, T time steps, L codebook size, S size of the vectors.
"""

import torch
from torch import Tensor, nn

DECAY = 0.97  # of sums and counts, an update
MOST = 2048.0  # steps that a code counts for: a checkpoint in float16 has to hold sums and counts
PRIOR = 2.0  # steps: a code that fewer had is taken for the mean of all rather than its own


class ConditionalMean(nn.Module):
    """E[vector | code] of one modality, a moving average that belongs to the checkpoint.

    A vector without it is a semantic residual: on average nothing in it tells the code. It moves
    in ``update``, once a training step, and never in ``forward``.
    """

    sums: Tensor
    counts: Tensor

    def __init__(self, codebook_size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("sums", torch.zeros(codebook_size, dim))  # [L, S]
        self.register_buffer("counts", torch.zeros(codebook_size))  # [L]

    def forward(self, codes: Tensor) -> Tensor:
        """Return the means ``[B, T, S]`` of ``codes`` ``[B, T]``."""
        return self.means()[codes]

    def means(self) -> Tensor:
        """Return the mean ``[L, S]`` of each code."""
        overall = self.sums.sum(0) / self.counts.sum().clamp(min=1e-9)  # [S]
        return (self.sums + PRIOR * overall) / (self.counts.unsqueeze(-1) + PRIOR)

    @torch.no_grad()
    def update(self, vectors: Tensor, codes: Tensor, mask: Tensor, *, decay: float = DECAY) -> None:
        """Take in ``vectors`` ``[B, T, S]`` that had ``codes`` ``[B, T]``, where ``mask`` is true.

        With ``decay`` 1 these are plain means of all that was taken in.
        """
        steps, chosen = vectors[mask].to(self.sums.dtype), codes[mask]  # [N, S], [N]
        self.sums.mul_(decay).index_add_(0, chosen, steps)
        self.counts.mul_(decay).index_add_(0, chosen, torch.ones_like(steps[:, 0]))
        excess = (self.counts.max() / MOST).clamp(min=1)
        self.sums.div_(excess)
        self.counts.div_(excess)

    def reset(self) -> None:
        """Forget all that was taken in."""
        self.sums.zero_()
        self.counts.zero_()
