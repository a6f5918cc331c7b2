"""Features of classes of which there is no example: what a classifier would take for one.

Shape letters: N features, E size of a pooled vector, L classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEPS, LR = 40, 0.1  # of Adam
LOGIT = 2.0  # from which a class counts as seen or heard: a probability of .88
KEEP = 0.02  # of the squared length, and half of it of the other classes: features stay modest


def imagine(head: nn.Linear, real: Tensor, *, generator: torch.Generator) -> Tensor:
    """Return a pooled vector ``[L, E]`` for each class of ``head``.

    Each begins as a real one, drawn at random, and is moved until the head believes in the
    class; like real ones, which passed a ReLU, it is nowhere negative.

    Args:
        head: The classifier that was trained with the backbone.
        real: ``[N, E]`` pooled vectors of anything.
        generator: Draws the real ones.
    """
    start = real[torch.randint(len(real), (head.out_features,), generator=generator)]
    with torch.enable_grad():
        moved = start.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([moved], lr=LR)
        for _ in range(STEPS):
            features = F.relu(moved)
            logits = head(features)  # [L, L]
            own = logits.diagonal()
            others = F.softplus(logits).sum() - F.softplus(own).sum()
            loss = F.softplus(LOGIT - own).sum()
            loss = loss + KEEP * (features.square().sum() + others / 2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return F.relu(moved).detach()


def mixed(vectors: Tensor, partners: Tensor, count: int, *, generator: torch.Generator) -> Tensor:
    """Return ``[count, E]``: vectors with up to half of a partner in them, both at random."""
    share = torch.rand(count, 1, generator=generator) / 2
    one = vectors[torch.randint(len(vectors), (count,), generator=generator)]
    other = partners[torch.randint(len(partners), (count,), generator=generator)]
    return (1 - share) * one + share * other
