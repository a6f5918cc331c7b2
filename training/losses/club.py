"""CLUB: an upper bound of what the general part of a modality tells about its specific part."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.config import CLUBConfig
from training.losses.masking import masked_mean


class CLUB(nn.Module):
    """Upper bound of the mutual information I(x; y), in nats a step.

    A Gaussian q(y | x) is fitted to true pairs by ``fit_loss``. ``forward`` then tells how
    much likelier a true pair is under q than a shuffled one: near 0, x says nothing of y.
    The log-variance is held in [-1, 1], so the fit loss cannot fall below ``-y_dim / 2``; at that
    floor y has (almost) no variance: the specific features have collapsed.

    Args:
        x_dim: Size of x, here a quantized general vector.
        y_dim: Size of y, here the specific vector of the same step.
        config: Width of the networks, and the form of the estimate.

    Source: Cheng et al., ICML 2020 (sampled variant, vCLUB-S); SRCID eq. 5-6.
    """

    def __init__(self, x_dim: int, y_dim: int, config: CLUBConfig) -> None:
        super().__init__()
        self.time_first = config.time_first
        self.mean = _mlp(x_dim, config.hidden_dim, y_dim)
        self.log_variance = nn.Sequential(_mlp(x_dim, config.hidden_dim, y_dim), nn.Tanh())

    def fit_loss(
        self, x: Tensor, y: Tensor, mask: Tensor, *, codes: Tensor | None = None
    ) -> Tensor:
        """Return the negative log-likelihood of true pairs, in nats a step (constants left out).

        Args:
            x: ``[B, T, X]`` and
            y: ``[B, T, Y]``, paired by clip and step, both detached by the caller.
            mask: ``[B, T]``.
            codes: ``[B, Q, T]`` that x stands for, where it stands for codes. The networks then
                see each code once, not each step: the same result for a fraction of the work.
        """
        if codes is None:
            mean, log_variance = self.mean(x), self.log_variance(x)
            variance = log_variance.exp()
        else:
            steps, code = distinct(codes)
            each = x.flatten(0, 1)[steps]  # [N, X]
            each_log_variance = self.log_variance(each)
            # F.embedding: a lookup whose backward pass is many times faster than indexing's.
            mean = F.embedding(code, self.mean(each))  # [B, T, Y]
            log_variance = F.embedding(code, each_log_variance)
            variance = F.embedding(code, each_log_variance.exp())
        error = (mean - y).square() / variance
        return masked_mean((error + log_variance).sum(-1) / 2, mask)

    def forward(self, x: Tensor, y: Tensor, mask: Tensor, *, permutation: Tensor) -> Tensor:
        """Bound I(x; y) from above: minimise over the encoders that made x and y.

        Args:
            x: ``[B, T, X]``.
            y: ``[B, T, Y]``, paired with x by clip and step.
            mask: ``[B, T]``; a step counts where it is real in the clip and in its stand-in.
            permutation: ``[B]`` which clip's y stands in for each clip's own.

        Returns:
            A scalar, in nats a step. Negative while q is still a poor fit.
        """
        mask = mask & mask[permutation]
        mean, log_variance = self.mean(x), self.log_variance(x)
        excess = (mean - y[permutation]).square() - (mean - y).square()  # [B, T, Y]
        if not self.time_first:
            return masked_mean((excess / log_variance.exp()).sum(-1) / 2, mask)
        steps = mask.sum(1).clamp(min=1).unsqueeze(-1)  # [B, 1]
        weights = mask.unsqueeze(-1)
        excess = (excess * weights).sum(1) / steps
        variance = ((log_variance * weights).sum(1) / steps).exp()
        clips = mask.any(1)
        return ((excess / variance).sum(-1) * clips).sum() / (2 * clips.sum().clamp(min=1))


def distinct(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return a step of each different code in ``codes`` ``[B, Q, T]``, and every step's code.

    Returns:
        ``[N]``, each a row of ``x.flatten(0, 1)``; and ``[B, T]``, each an index into these N.
    """
    # Q codes as the digits of one number: unique rows would be a loop over steps.
    place = (codes.max() + 1) ** torch.arange(codes.shape[1], device=codes.device)
    numbers = (codes * place.unsqueeze(-1)).sum(1)  # [B, T]
    different, code = numbers.unique(return_inverse=True)
    positions = torch.arange(numbers.numel(), device=codes.device)
    steps = torch.full((len(different),), numbers.numel(), device=codes.device)
    steps = steps.scatter_reduce(0, code.flatten(), positions, "amin")  # the first: runs repeat
    return steps, code


def _mlp(in_dim: int, hidden_dim: int, out_dim: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(in_dim, hidden_dim),
        nn.ReLU(),
        nn.Linear(hidden_dim, hidden_dim),
        nn.ReLU(),
        nn.Linear(hidden_dim, hidden_dim),
        nn.ReLU(),
        nn.Linear(hidden_dim, out_dim),
    )
