"""The specific encoders: what a modality has for itself."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from model.network.residual import ResidualConv


class Specific(NamedTuple):
    """The modal-specific result of one modality."""

    vector: Tensor  # [B, T, S] what CLUB sees, and the next layer's input
    map: Tensor | None  # [B, T, H-4, W-4, C] what the decoder of a map starts from


class VectorSpecificEncoder(nn.Module):
    """relu(Wx + b), per step. Source: Psi of SRCID eq. 1."""

    def __init__(self, in_dim: int, specific_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, specific_dim)

    def forward(self, x: Tensor) -> Specific:
        """Encode features ``[B, T, F]``."""
        return Specific(F.relu(self.linear(x)), None)


class MapSpecificEncoder(nn.Module):
    """Convolutions that keep a map, and a head that pools it to a vector.

    Source: ``Video_Encoder`` of the published code.
    """

    def __init__(self, in_channels: int, channels: int, specific_dim: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(in_channels, channels // 2, 3),
            nn.ReLU(),
            nn.Conv2d(channels // 2, channels, 3),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
            ResidualConv(channels),
        )
        self.head = nn.Sequential(
            nn.Linear(channels, channels // 2),
            nn.ReLU(),
            nn.Linear(channels // 2, specific_dim),
        )

    def forward(self, x: Tensor) -> Specific:
        """Encode maps ``[B, T, H, W, F]``, H and W at least 5."""
        frames = x.flatten(0, 1).permute(0, 3, 1, 2)  # [B*T, F, H, W]
        maps = self.convs(frames).permute(0, 2, 3, 1).unflatten(0, x.shape[:2])
        return Specific(self.head(maps.mean((2, 3))), maps)
