"""From a map of features to one vector: where in the picture to look."""

from torch import Tensor, nn

from model.config import MapConfig


class MapAttention(nn.Module):
    """Weighs the channels of a map by its mean, then its cells by their content.

    With ``attention="sum"`` every cell has weight 1. This is what the published code computes:
    its softmax runs over an axis of size 1, so that its attention has no effect (and its three
    linear layers get no gradient; here they do not exist).

    Source: the published ``Video_Semantic_Encoder``; docs/reproduce.md.
    """

    def __init__(self, channels: int, config: MapConfig) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(channels, config.gate_dim, bias=False),
            nn.ReLU(),
            nn.Linear(config.gate_dim, channels, bias=False),
            nn.Sigmoid(),
        )
        self.attends = config.attention == "softmax"
        if self.attends:
            self.cell = nn.Sequential(nn.Linear(channels, config.attention_dim), nn.ReLU())
            self.context = nn.Sequential(nn.Linear(channels, config.attention_dim), nn.ReLU())
            self.score = nn.Sequential(nn.Linear(config.attention_dim, 1), nn.Tanh())

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``[B, T, F]`` for ``maps`` ``[B, T, H, W, F]``."""
        cells = maps.flatten(-3, -2)  # [B, T, H*W, F]
        mean = cells.mean(-2)
        gain = 1 + self.gate(mean)  # [B, T, F]
        if not self.attends:
            return mean * cells.shape[-2] * gain
        gated = cells * gain.unsqueeze(-2)
        weights = self.score(self.cell(gated) * self.context(mean).unsqueeze(-2)).softmax(-2)
        return (weights * gated).sum(-2)
