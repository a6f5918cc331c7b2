"""Codebooks from data: k-means, stage by stage on what the stages before left over.

Shape letters: N vectors, D hidden dim, L codebook size.
"""

import torch
from torch import Tensor

from model.errors import DataError
from model.quantizers.codebook import EMACodebook
from model.quantizers.rvq import ResidualQuantizer

ROUNDS = 15


def fit_codebooks(
    quantizer: ResidualQuantizer, vectors: Tensor, *, generator: torch.Generator
) -> None:
    """Set the codebooks of ``quantizer`` to the k-means centres of ``vectors`` ``[N, D]``.

    Entry 0 stays the zero vector.

    Raises:
        DataError: There are fewer vectors than codes.
    """
    if len(vectors) < quantizer.codebook_size:
        raise DataError(
            f"{len(vectors)} vectors cannot fill {quantizer.codebook_size} codes: give more data, "
            "or set a smaller codebook_size"
        )
    for stage in quantizer.stages:
        centres = k_means(vectors, quantizer.codebook_size - 1, generator=generator)
        _set(stage, torch.cat([torch.zeros_like(centres[:1]), centres]))
        vectors = vectors - stage.vectors[stage.nearest(vectors)]


def k_means(vectors: Tensor, count: int, *, generator: torch.Generator) -> Tensor:
    """Return ``count`` centres ``[count, D]`` of ``vectors`` ``[N, D]``.

    A centre that nothing is nearest to moves onto a vector at random.
    """
    centres = _spread(vectors, count, generator=generator)
    for _ in range(ROUNDS):
        nearest = torch.cdist(vectors, centres).argmin(1)
        members = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, nearest, vectors)
        empty = members == 0
        drawn = torch.randint(len(vectors), (int(empty.sum()),), generator=generator)
        centres = sums / members.clamp(min=1).unsqueeze(1)
        centres[empty] = vectors[drawn]
    return centres


def _spread(vectors: Tensor, count: int, *, generator: torch.Generator) -> Tensor:
    """Return ``count`` of the vectors to begin with, drawn far from one another.

    Source: k-means++, Arthur and Vassilvitskii, 2007.
    """
    chosen = [vectors[torch.randint(len(vectors), (1,), generator=generator)]]
    distances = torch.full((len(vectors),), torch.inf)
    for _ in range(count - 1):
        distances = distances.minimum((vectors - chosen[-1]).square().sum(1))
        drawn = torch.multinomial(distances.clamp(min=1e-12), 1, generator=generator)
        chosen.append(vectors[drawn])
    return torch.cat(chosen)


def _set(codebook: EMACodebook, vectors: Tensor) -> None:
    """Put ``vectors`` ``[L, D]`` where the moving averages go on from them."""
    codebook.vectors.copy_(vectors)
    codebook.ema_count.fill_(1)
    codebook.ema_sum.copy_(vectors)
    codebook.unused_for.zero_()
