"""The decoders: codes and the specific result together give the features back."""

import torch
from torch import Tensor, nn

from model.network.residual import ResidualConv
from model.network.specific import Specific


class VectorDecoder(nn.Module):
    """Linear in the projected codes and the specific vector. Source: SRCID eq. 4."""

    def __init__(self, dim: int, specific_dim: int, out_dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, specific_dim)
        self.reconstruct = nn.Linear(2 * specific_dim, out_dim)

    def forward(self, quantized: Tensor, specific: Specific) -> Tensor:
        """Return ``[B, T, F]`` from ``quantized`` ``[B, T, D]``."""
        return self.reconstruct(torch.cat((self.project(quantized), specific.vector), -1))


class MapDecoder(nn.Module):
    """Transposed convolutions from the specific map and the codes, tiled over its cells.

    Source: ``Video_Decoder`` of the published code.
    """

    def __init__(self, dim: int, channels: int, out_channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, dim)
        self.deconvs = nn.Sequential(
            nn.ConvTranspose2d(dim + channels, channels // 2, 3),
            ResidualConv(channels // 2),
            nn.ConvTranspose2d(channels // 2, out_channels, 3),
            nn.ReLU(inplace=True),  # of the largest tensor of a step
            nn.ConvTranspose2d(out_channels, out_channels, 1),
        )

    def forward(self, quantized: Tensor, specific: Specific) -> Tensor:
        """Return maps ``[B, T, H, W, F]`` from ``quantized`` ``[B, T, D]``."""
        maps = specific.map
        assert maps is not None, "a map decoder stands behind a map encoder"
        codes = self.project(quantized)[:, :, None, None].expand(*maps.shape[:-1], -1)
        cells = torch.cat((codes, maps), -1).flatten(0, 1).permute(0, 3, 1, 2)
        return self.deconvs(cells).permute(0, 2, 3, 1).unflatten(0, maps.shape[:2])
