"""Linear maps, and ridge regression. Shape letters: N examples, X inputs, Y outputs."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

FLOOR = 0.01  # of the mean variance, added to each: what hardly varies is noise, and stays small


class LinearMap(NamedTuple):
    """y = x W + b."""

    weight: Tensor  # [X, Y]
    bias: Tensor  # [Y]

    def __call__(self, x: Tensor) -> Tensor:
        """Map ``[..., X]`` to ``[..., Y]``."""
        return x @ self.weight + self.bias

    def scaled(self, factor: float) -> "LinearMap":
        """Return the map whose outputs are ``factor`` times as long."""
        return LinearMap(self.weight * factor, self.bias * factor)

    def centred(self, *, over: Tensor) -> "LinearMap":
        """Return the map moved so that the mean of its outputs over ``[N, X]`` is zero."""
        return LinearMap(self.weight, self.bias - self(over).mean(0))

    def to_length(self, length: float, *, over: Tensor) -> "LinearMap":
        """Return the map scaled so that its outputs over ``[N, X]`` have this mean length."""
        return self.scaled(length / float(self(over).norm(dim=-1).mean()))

    def evened(self, *, over: Tensor) -> "LinearMap":
        """Return the map whose outputs over ``[N, X]`` vary in all directions more alike.

        Each direction is divided by the root of its standard deviation, halfway to whitening;
        nothing is turned, so that outputs are still compared with those of other maps.
        """
        outputs = F.normalize(self(over), dim=-1)
        variances, directions = torch.linalg.eigh(outputs.T.cov(correction=0))
        shares = variances.clamp(min=0) / variances.mean().clamp(min=1e-12) + FLOOR
        even = (directions * shares**-0.25) @ directions.T
        return LinearMap(self.weight @ even, self.bias @ even)


def ridge(x: Tensor, y: Tensor, *, penalty: float) -> LinearMap:
    """Return the map from ``x`` ``[N, X]`` to ``y`` ``[N, Y]`` of least squares.

    Args:
        x: Inputs.
        y: What they should become.
        penalty: On the squared weights, in units of the mean square of an input; the bias is
            free.
    """
    mean_x, mean_y = x.mean(0), y.mean(0)
    inputs, outputs = x - mean_x, y - mean_y
    square = inputs.T @ inputs / len(x)
    square.diagonal().add_(penalty * float(square.diagonal().mean()))
    weight = torch.linalg.solve(square, inputs.T @ outputs / len(x))
    return LinearMap(weight, mean_y - mean_x @ weight)
