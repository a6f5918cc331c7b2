"""A codebook that follows the data by an exponential moving average over all modalities.

Shape letters: B batch, T time steps, D dim, L codebook size.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.modality import Modality

EPS = 1e-5  # additive smoothing of the counts: a code nobody chose divides by no zero
IDLE = 0.1  # a count below which smoothing, and no longer data, would move a code


def paired_mean(
    z: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return each step's mean ``[B, T, D]`` over the modalities it has, and where it has any.

    The code nearest to the mean is also the one of the least summed squared distance to the
    modalities' own vectors: sum |z_m - e|^2 = M |mean - e|^2 + what does not depend on e.
    """
    present = torch.stack([masks[name] for name in z]).unsqueeze(-1)  # [M, B, T, 1]
    means = (torch.stack(list(z.values())) * present).sum(0) / present.sum(0).clamp(min=1)
    return means, present.any(0).squeeze(-1)


def clip_vote(
    z: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return each clip's vote ``[B, D]``, and which clips have one ``[B]``.

    That is the direction of the mean of its modalities' directions, each the mean of its steps,
    as long as a vector of variance 1: what all of a clip is about, in one vector.
    """
    directions = []
    for name, own in z.items():
        weights = masks[name].unsqueeze(-1).to(own.dtype)
        directions.append(F.normalize((own * weights).sum(1), dim=-1))  # 0 of what is not there
    total = torch.stack(directions).sum(0)
    present = torch.stack([mask.any(1) for mask in masks.values()]).any(0)
    return F.normalize(total, dim=-1) * total.shape[-1] ** 0.5, present


class EMACodebook(nn.Module):
    """L vectors that MM-EMA moves, and that go to live data when nothing chooses them.

    The counts start at 1, so that a vector which nothing chose stays where it is (the published
    code starts them at 0, which throws such vectors far away at the first update).

    Args:
        size: L.
        dim: D.
        decay: Of the moving average, for each of the three modalities' turns in an update.
        multimodal: Whether a code is also pulled to what the other modalities had at the steps
            where one modality chose it. Without it this is the plain average of van den Oord
            et al., 2017.
        revive_after: Updates without use after which a code is moved.
        min_share: Of the recent steps (the counts); a code that fewer chose is out of use.

    Source: MM-EMA of DCID (Xia et al., 2023, section 3.2), which SRCID section II adopts; the
    paper's cross-attention is left out, as in the published code.
    """

    vectors: Tensor
    ema_count: Tensor
    ema_sum: Tensor
    unused_for: Tensor

    def __init__(
        self,
        *,
        size: int,
        dim: int,
        decay: float,
        multimodal: bool,
        revive_after: int,
        min_share: float = 0.0,
    ) -> None:
        super().__init__()
        self.decay, self.multimodal, self.revive_after = decay, multimodal, revive_after
        self.min_share = min_share
        vectors = torch.empty(size, dim).uniform_(-1 / size, 1 / size)
        self.register_buffer("vectors", vectors)  # [L, D]
        self.register_buffer("ema_count", torch.ones(size))  # [L]
        self.register_buffer("ema_sum", vectors.clone())  # [L, D]
        self.register_buffer("unused_for", torch.zeros(size, dtype=torch.int64))  # [L]

    def begin(self, vectors: Tensor) -> None:
        """Put ``vectors`` ``[L, D]`` where the moving averages go on from them."""
        self.vectors.copy_(vectors)
        self.ema_count.fill_(1)
        self.ema_sum.copy_(vectors)
        self.unused_for.zero_()

    def nearest(self, z: Tensor) -> Tensor:
        """Return the index ``[B, T]`` of the vector nearest to each of ``z`` ``[B, T, D]``.

        Rare codes are passed over, unless all are rare: before anything was learned.
        """
        # float32 even under autocast: ties are decided here.
        with torch.autocast(z.device.type, enabled=False):
            return self.nearest_by(self.offsets(), z.detach().to(self.vectors.dtype))

    def nearest_by(self, offsets: Tensor, z: Tensor) -> Tensor:
        """Return ``nearest`` of ``z`` ``[..., D]``, by ``offsets`` that were asked for before.

        For many calls of a few vectors each: it has as few operations as there can be.
        """
        return F.linear(-2 * z, self.vectors, offsets).argmin(-1)  # |z|^2 is the same for all

    def offsets(self) -> Tensor:
        """Return the squared lengths ``[L]`` of the vectors; infinite of those passed over."""
        rare = self.ema_count < self.min_share * self.ema_count.sum()
        return self.vectors.square().sum(-1).masked_fill(rare & ~rare.all(), torch.inf)

    @torch.no_grad()
    def update(
        self,
        z: Mapping[Modality, Tensor],
        codes: Mapping[Modality, Tensor],
        masks: Mapping[Modality, Tensor],
    ) -> None:
        """Move the vectors towards ``z`` ``[B, T, D]``, which chose ``codes`` ``[B, T]``."""
        for modality in z:
            chosen = codes[modality][masks[modality]]  # [N]
            pull = self._pull(modality, z, masks)[masks[modality]].to(self.vectors.dtype)  # [N, D]
            count = torch.bincount(chosen, minlength=len(self.vectors)).to(self.vectors.dtype)
            self.ema_count.lerp_(count, 1 - self.decay)
            total_pull = torch.zeros_like(self.vectors).index_add_(0, chosen, pull)
            self.ema_sum.lerp_(total_pull, 1 - self.decay)
            total = self.ema_count.sum()
            self.ema_count.add_(EPS).mul_(total / (total + len(self.vectors) * EPS))
        used = torch.cat([codes[name][masks[name]] for name in z])  # [N]
        self.unused_for.add_(1)
        self.unused_for[used] = 0
        # Smoothing keeps a count up while its sum decays: an unused vector would shrink to 0.
        idle = ((self.unused_for > 0) & (self.ema_count < IDLE)).unsqueeze(-1)
        count = self.ema_count.unsqueeze(-1)
        self.ema_sum.copy_(torch.where(idle, self.vectors * count, self.ema_sum))
        self.vectors.copy_(self.ema_sum / count)
        self._revive(z, masks)

    def _pull(
        self, modality: Modality, z: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]
    ) -> Tensor:
        """Return where each step pulls its code: half its own vector, half the others' mean."""
        own = z[modality]
        others = [name for name in z if name != modality] if self.multimodal else []
        if not others:
            return own
        weights = torch.stack([masks[name] for name in others]).unsqueeze(-1).to(own.dtype)
        paired = (torch.stack([z[name] for name in others]) * weights).sum(0)
        present = weights.sum(0)  # [B, T, 1]
        return torch.where(present > 0, (own + paired / present.clamp(min=1)) / 2, own)

    def _revive(
        self,
        z: Mapping[Modality, Tensor],
        masks: Mapping[Modality, Tensor],
    ) -> None:
        """Move the code that was unused longest, if for too long, onto a step of this batch.

        One an update: many at once would crowd around the same steps and be duplicates. The step
        is drawn by its squared distance from the nearest code (as k-means++ draws), and taken as
        the mean of its modalities, where all of them can come to choose it. Count and sum move
        along, so that the next update does not undo it (in the published code it does).
        """
        means, present = paired_mean(z, masks)
        live = means[present]  # [N, D]
        longest = self.unused_for.argmax()
        if not len(live) or self.unused_for[longest] <= self.revive_after:
            return
        live = live.to(self.vectors.dtype)
        distances = torch.cdist(live, self.vectors).amin(1).square()
        chosen = live[torch.multinomial(distances + EPS, 1).squeeze()]
        count = self.ema_count[self.unused_for == 0].mean()
        self.vectors[longest] = chosen
        self.ema_count[longest], self.ema_sum[longest] = count, chosen * count
        self.unused_for[longest] = 0
