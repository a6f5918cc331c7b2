"""A training step as the published trainer takes it: the yardstick of ``training_step.py``.

Written from a description of that trainer, on our encoders, decoders, CLUB and CPC, so that only
these differ: float64; the video's attention computes weights that are all 1; the encoders run
once for the objective and once more for each of CLUB's five fits, which detach what they get;
every such pass moves both codebooks; Python loops go over indices and codes where unused codes
are looked for, and over clips in code matching.

Shape letters: B batch, T time steps, D hidden dim, L codebook size.
"""

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam

from model.modality import Modality
from model.network.layer import LayerOutput
from model.quantizers.base import straight_through
from model.srcid import SRCID
from training.config import TrainConfig
from training.data.sample import Batch
from training.losses.commitment import commitment
from training.losses.objective import Objective
from training.losses.reconstruction import reconstruction
from training.optim import clip_groups, club_groups

DECAY, EPS, FITS, RESET_AFTER = 0.99, 1e-5, 5, 300


class PublishedCodebook:
    """A codebook that moves whenever it is used."""

    def __init__(self, size: int, dim: int) -> None:
        self.vectors = torch.empty(size, dim, dtype=torch.float64).uniform_(-1 / size, 1 / size)
        self.count = torch.ones(size, dtype=torch.float64)
        self.sum = self.vectors.clone()
        self.unused = torch.zeros(size)

    def __call__(self, general: Mapping[Modality, Tensor]) -> dict[Modality, Tensor]:
        """Quantize ``[B, T, D]`` of each modality, then move and reset the codes."""
        flat = {m: z.detach().flatten(0, 1) for m, z in general.items()}  # [B*T, D]
        codes = {}
        for m, z in flat.items():
            distances = self.vectors.square().sum(1) + z.square().sum(1, keepdim=True)
            codes[m] = (distances - 2 * z @ self.vectors.T).argmin(1)
        decoded = {m: self.vectors[own].view_as(general[m]) for m, own in codes.items()}
        self._move(flat, codes)
        self._reset(codes)
        return {m: straight_through(z, decoded[m]) for m, z in general.items()}

    def _move(self, flat: Mapping[Modality, Tensor], codes: Mapping[Modality, Tensor]) -> None:
        for m, z in flat.items():
            chosen = F.one_hot(codes[m], len(self.vectors)).double()  # [B*T, L]
            pulled = chosen.T @ z / 2
            for other in flat.keys() - {m}:
                pulled += chosen.T @ flat[other] / 4
            self.count = DECAY * self.count + (1 - DECAY) * chosen.sum(0)
            total = self.count.sum()
            self.count = (self.count + EPS) / (total + len(self.vectors) * EPS) * total
            self.sum = DECAY * self.sum + (1 - DECAY) * pulled
            self.vectors = self.sum / self.count.unsqueeze(1)

    def _reset(self, codes: Mapping[Modality, Tensor]) -> None:
        self.unused += 1
        for own in codes.values():
            for index in own:
                self.unused[index.item()] = 0
        active = [code for code in range(len(self.unused)) if self.unused[code].item() < 100]
        for code in range(len(self.unused)):
            if self.unused[code].item() > RESET_AFTER and active:
                self.vectors[code] = self.vectors[active[code % len(active)]]
                self.unused[code] = 0


class PublishedAttention(nn.Module):
    """Sums a map's cells the long way round: by weights that are a softmax of one number, 1."""

    def __init__(self, gate: nn.Module, channels: int, dim: int) -> None:
        super().__init__()
        self.gate = gate
        self.cell, self.context = nn.Linear(channels, dim), nn.Linear(channels, dim)
        self.score = nn.Linear(dim, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``[B, T, F]`` for ``maps`` ``[B, T, H, W, F]``."""
        cells = maps.flatten(2, 3)
        mean = cells.mean(2)
        gated = cells * (1 + self.gate(mean)).unsqueeze(2)
        query = self.cell(gated).relu() * self.context(mean).relu().unsqueeze(2)
        weights = self.score(query).tanh().softmax(-1)  # [B, T, H*W, 1]
        return (weights * gated).sum(2)


class PublishedStep:
    """Takes one optimizer step on a float64 batch; both layers take part."""

    def __init__(self, model: SRCID, objective: Objective, config: TrainConfig) -> None:
        video = config.model.modalities[Modality.VIDEO]
        assert video.map is not None
        general = model.stages[0].general[Modality.VIDEO]
        general.attention = PublishedAttention(
            general.attention.gate, video.feature_shape[-1], video.map.attention_dim
        ).double()
        self.model, self.objective, self.config = model, objective, config
        size = model.stages[0].quantizer.codebook_size
        self.codebooks = [PublishedCodebook(size, config.model.dim) for _ in model.stages]
        self.groups = list(clip_groups(model, objective).values())
        self.clubs = list(club_groups(objective).values())
        self.optimizer = Adam([p for own in self.groups for p in own], config.optim.lr)
        # One for each CLUB network.
        self.club_optimizers = [Adam(own, config.objective.club.lr) for own in self.clubs]

    def __call__(self, batch: Batch) -> dict[str, float]:
        """Return the terms; each is fetched by itself."""
        text = self.model.stems["text"](batch.features[Modality.TEXT], batch.masks[Modality.TEXT])
        inputs = batch.features | {Modality.TEXT: text}
        layers = self._encode(inputs, batch.masks)
        for _ in range(FITS):
            again = self._encode(inputs, batch.masks)
            fits = [
                own.club(m).fit_loss(
                    out.quantized[m].detach(), out.specific[m].vector.detach(), batch.masks[m]
                )
                for own, out in zip(self.objective.stages, again, strict=True)
                for m in out.general
            ]
            self._descend(torch.stack(fits).sum(), self.clubs, self.club_optimizers)

        terms: dict[str, Tensor] = {}
        targets = inputs
        for depth, out in enumerate(layers):
            terms |= self._terms(depth, out, targets, batch.masks)
            targets = {m: own.vector for m, own in out.specific.items()}
        weights = [own.total for own in self.config.objective.layers]
        total = torch.stack([weights[int(name[0])] * term for name, term in terms.items()]).sum()
        self._descend(total, self.groups, [self.optimizer])
        return {name: term.item() for name, term in terms.items()}

    def _descend(self, loss: Tensor, groups: list[list[Parameter]], optimizers: list[Adam]) -> None:
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for group in groups:
            clip_grad_norm_(group, self.config.optim.clip_norm)
        for optimizer in optimizers:
            optimizer.step()

    def _encode(
        self, inputs: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]
    ) -> list[LayerOutput]:
        outputs = []
        for layer, codebook in zip(self.model.stages, self.codebooks, strict=True):
            general = {m: layer.general[m](x, masks[m]) for m, x in inputs.items()}
            specific = {m: layer.specific[m](x, masks[m]) for m, x in inputs.items()}
            outputs.append(LayerOutput(general, codebook(general), {}, specific))
            inputs = {m: own.vector for m, own in specific.items()}
        return outputs

    def _terms(
        self,
        depth: int,
        out: LayerOutput,
        targets: Mapping[Modality, Tensor],
        masks: Mapping[Modality, Tensor],
    ) -> dict[str, Tensor]:
        layer, own = self.model.stages[depth], self.objective.stages[depth]
        decoded = {m: layer.decoder[m](z, out.specific[m]) for m, z in out.quantized.items()}
        clips, steps = next(iter(masks.values())).shape
        errors = reconstruction(decoded, targets, masks)
        pulls = commitment(out.general, out.quantized, masks, beta=self.config.objective.beta)
        terms = {f"{depth}/reconstruction/{m}": error for m, error in errors.items()}
        terms |= {f"{depth}/commitment/{m}": pull for m, pull in pulls.items()}
        for m, z in out.quantized.items():
            shuffled = torch.randperm(clips)
            terms[f"{depth}/mi/{m}"] = own.club(m)(
                z, out.specific[m].vector, masks[m], permutation=shuffled
            )
        drawn = int(torch.randint(1, steps - 1, (1,)))
        terms[f"{depth}/cpc"] = own.cpc(out.general, masks, step=drawn)
        terms[f"{depth}/cmcm"] = code_matching(out.general, self.codebooks[depth].vectors)
        return terms


def code_matching(general: Mapping[Modality, Tensor], vectors: Tensor) -> Tensor:
    """Return the published form of code matching, clip by clip."""
    p = {}
    for m, z in general.items():
        distances = torch.cdist(z, vectors.expand(len(z), -1, -1))  # [B, T, L]
        p[m] = (-distances).softmax(-1).mean(1)  # [B, L]
    total = vectors.new_zeros(())
    for m, n in combinations(p, 2):
        scores = p[m] @ (p[n] + 1e-10).log().T + p[n] @ (p[m] + 1e-10).log().T
        scores = (scores + (-scores).max()).exp()
        loss = vectors.new_zeros(())
        for clip in range(len(scores)):
            loss = loss - (scores[clip, clip] / (scores[clip].sum() + 1e-5)).log()
        total = total + 0.5 * loss / len(scores)
    return total
