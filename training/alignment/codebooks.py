"""Codebooks from data: k-means, stage by stage, then least squares over all stages and steps.

Shape letters: N vectors, D hidden dim, Q stages, L codebook size, T steps.
"""

import torch
from torch import Tensor

from model.errors import DataError
from model.quantizers.rvq import ResidualQuantizer

ROUNDS = 15  # of k-means
REFITS = 8
HOLD = 0.5  # how firmly a code stays where it was, in vectors that it alone would make up
CHUNK = 4096  # vectors at once


def fit_codebooks(
    quantizer: ResidualQuantizer, vectors: Tensor, *, steps: int, generator: torch.Generator
) -> None:
    """Set the codebooks of ``quantizer`` to what makes up ``vectors`` ``[N, D]``.

    Entry 0 stays the zero vector.

    Args:
        quantizer: Chooses the codes; its codebooks are set.
        vectors: What is to be told apart.
        steps: For how many each of them lasts, with codes of its own in every step.
        generator: Draws the first centres.

    Raises:
        DataError: There are fewer vectors than codes.
    """
    if len(vectors) < quantizer.codebook_size:
        raise DataError(
            f"{len(vectors)} vectors cannot fill {quantizer.codebook_size} codes: give more data, "
            "or set a smaller codebook_size"
        )
    left = vectors
    for stage in quantizer.stages:
        centres = k_means(left, quantizer.codebook_size - 1, generator=generator)
        stage.begin(torch.cat([torch.zeros_like(centres[:1]), centres]))
        left = left - stage.vectors[stage.nearest(left)]
    for _ in range(REFITS):
        _refit(quantizer, vectors, steps)


def _refit(quantizer: ResidualQuantizer, vectors: Tensor, steps: int) -> None:
    """Move all codes at once to where those that are chosen make up ``vectors`` ``[N, D]`` best.

    K-means gives each stage the best for a step by itself; but a thing that lasts is told by the
    codes of all its steps together, and these should differ in what they add.

    Source: the dictionary update of the method of optimal directions, Engan et al., 1999.
    """
    before = torch.cat([stage.vectors for stage in quantizer.stages])  # [Q * L, D]
    square = HOLD * torch.eye(len(before))
    product = HOLD * before
    first = torch.arange(quantizer.num_codebooks).view(1, -1, 1) * quantizer.codebook_size
    for own in vectors.split(CHUNK):
        codes = quantizer.encode(own.unsqueeze(1).expand(-1, steps, -1))  # [N, Q, T]
        rows = (codes + first).flatten(1)
        shares = torch.zeros(len(own), len(before))
        shares.scatter_add_(1, rows, torch.full(rows.shape, 1 / steps))
        square += shares.T @ shares
        product += shares.T @ own
    refitted = torch.linalg.solve(square, product).split(quantizer.codebook_size)
    for stage, own in zip(quantizer.stages, refitted, strict=True):
        own[0] = 0
        stage.begin(own)


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
