"""The specific encoders: what a modality has for itself."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from model.network.residual import ResidualConv
from model.network.standardize import Standardize


class Specific(NamedTuple):
    """The modal-specific result of one modality."""

    vector: Tensor  # [B, T, S] what CLUB sees, and the next layer's input
    map: Tensor | None  # [B, T, H-4, W-4, C] what the decoder of a map starts from


class VectorSpecificEncoder(nn.Module):
    """relu(Wx + b), per step. Source: Psi of SRCID eq. 1."""

    def __init__(self, in_dim: int, specific_dim: int, *, standardize: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, specific_dim)
        self.norm = Standardize(specific_dim) if standardize else None

    def forward(self, x: Tensor, mask: Tensor) -> Specific:
        """Encode features ``[B, T, F]`` with ``mask`` ``[B, T]``."""
        vector = F.relu(self.linear(x))
        return Specific(self.norm(vector, mask) if self.norm else vector, None)


class MapSpecificEncoder(nn.Module):
    """Convolutions that keep a map, and a head that pools it to a vector.

    Source: ``Video_Encoder`` of the published code.
    """

    def __init__(
        self, in_channels: int, channels: int, specific_dim: int, *, standardize: bool
    ) -> None:
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
        self.norm = Standardize(specific_dim) if standardize else None

    def forward(self, x: Tensor, mask: Tensor) -> Specific:
        """Encode maps ``[B, T, H, W, F]``, H and W at least 5, with ``mask`` ``[B, T]``."""
        frames = x.flatten(0, 1).permute(0, 3, 1, 2)  # [B*T, F, H, W]
        maps = self.convs(frames).permute(0, 2, 3, 1).unflatten(0, x.shape[:2])
        vector = self.head(maps.mean((2, 3)))
        return Specific(self.norm(vector, mask) if self.norm else vector, maps)
