"""The residual convolution that map encoder and map decoder share."""

from torch import Tensor, nn
from torch.nn import functional as F


class ResidualConv(nn.Module):
    """y = relu(relu(x) + C1(relu(C3(relu(x))))).

    The skip is rectified as in the published code, whose first ReLU works in place.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv3 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, C, H, W]`` of the same shape as ``x``."""
        x = F.relu(x)
        return F.relu(x + self.conv1(F.relu(self.conv3(x))))
