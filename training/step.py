"""One optimizer step: fit CLUB, objective, backward, codebook update. The network runs once."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from model.modality import Modality
from model.srcid import SRCID, SRCIDOutput
from training.collapse import CollapseWatch
from training.config import TrainConfig
from training.data.sample import Batch
from training.distributed import average, broadcast, gather, gather_output, rank
from training.errors import NonFiniteLoss
from training.losses.objective import LayerDraws, Objective
from training.optim import build_optimizer, build_schedule, clip_groups, club_groups, descend
from training.usage import codebook_usage
from training.warm_start import WarmStart


class TrainingStep:
    """Everything that changes in training, and the one way in which it changes.

    A step depends on what it has changed so far and on its batch, on nothing else: its random
    draws are seeded by (seed, step), so that no evaluation, log or interruption between two
    steps moves them. Dropout is seeded by the rank as well, since ranks hold other clips.

    Args:
        model: The network, on its device.
        objective: Its losses, on the same device.
        config: The run.
        total_steps: Of the whole run; the schedule needs it.
    """

    def __init__(
        self, model: SRCID, objective: Objective, config: TrainConfig, *, total_steps: int
    ) -> None:
        self.model, self.objective, self.config = model, objective, config
        optim, club = config.optim, config.objective.club
        self.optimizer = build_optimizer(clip_groups(model, objective), optim.lr)
        self.schedule = build_schedule(
            self.optimizer,
            optim,
            total_steps=total_steps,
            epoch_steps=total_steps // config.epochs,
        )
        self.club_optimizer = build_optimizer(club_groups(objective), club.lr)
        self.clip_norm = optim.clip_norm
        self.warm_start = WarmStart(config.warm_start, config.model.num_layers)
        self.collapse = CollapseWatch(config.objective.collapse_threshold)
        self.steps = 0
        self.started_layers = 0  # whose codebooks were begun with data

    def __call__(self, batch: Batch) -> dict[str, float]:
        """Take one step on ``batch`` (with several ranks: on this rank's slice of it).

        Returns:
            The terms of the objective on the whole batch by name, and beside them the fit of
            each CLUB network, the use of each codebook and the norm of each gradient.

        Raises:
            NonFiniteLoss: A term, or a gradient, is NaN or infinite. No weight and no codebook
                of the network was changed by it, and no CLUB network by a fit that was not finite.
        """
        torch.manual_seed(self._seed(1 + rank()))
        masks = dict(zip(batch.masks, gather(list(batch.masks.values())), strict=True))
        output = self._encode(batch)

        fits: dict[str, Tensor] = {}
        for _ in range(self.config.objective.club.fits):
            fits = self.objective.fit_loss(output, masks)
            if fits:  # none where mutual information weighs nothing
                descend(self.club_optimizer, torch.stack(list(fits.values())).sum(), self.clip_norm)

        report = self.objective(
            output,
            masks,
            self._tables(),
            self._draws(masks),
            mi_scale=self._mi_scale(),
            meanings=None if batch.meanings is None else gather([batch.meanings])[0],
        )
        terms = self._finite(report.terms | fits | {"total": report.total})
        norms = descend(self.optimizer, report.total, self.clip_norm)
        terms |= self._finite({f"gradient_norm/{name}": norm for name, norm in norms.items()})
        self.schedule.step()

        for layer, out in zip(self.model.stages, output.layers, strict=False):
            layer.update(out, masks)
        broadcast(self.model.buffers())  # what rank 0 drew to revive codes is what all use

        self.warm_start.observe(_sum(terms, "layer1/mi/"), _sum(terms, "layer1/club_fit/"))
        self.collapse.observe(terms, self.steps)
        terms |= self._finite(self._usage(output, masks))
        self.steps += 1
        return terms

    def _encode(self, batch: Batch) -> SRCIDOutput:
        """Run the network, under autocast where asked for; return the whole batch in float32."""
        parameter = next(self.model.parameters())
        on_gpu, precision = parameter.is_cuda, self.config.optim.precision
        bf16 = precision == "bf16" or (precision == "auto" and on_gpu)
        with torch.autocast(parameter.device.type, torch.bfloat16, enabled=bf16):
            output = self.model(
                batch.features, batch.masks, num_layers=self.warm_start.active_layers
            )
        return gather_output(output, parameter.dtype)

    def _tables(self) -> list[Tensor]:
        return [layer.quantizer.tables() for layer in self.model.stages]

    def _draws(self, masks: Mapping[Modality, Tensor]) -> list[LayerDraws]:
        """Draw each layer's CLUB permutations and CPC step; the past has two steps or more."""
        clips, steps = next(iter(masks.values())).shape
        generator = torch.Generator().manual_seed(self._seed(0))
        draws = []
        for _ in self.model.stages:
            permutations = {
                Modality(m): torch.randperm(clips, generator=generator).to(mask.device)
                for m, mask in masks.items()
            }
            first = min(1, steps - 2)
            drawn = torch.randint(first, steps - 1, (1,), generator=generator)
            draws.append(LayerDraws(permutations, int(drawn)))
        return draws

    def _usage(self, output: SRCIDOutput, masks: Mapping[Modality, Tensor]) -> dict[str, Tensor]:
        return {
            f"layer{depth}/{name}": value
            for depth, (layer, out) in enumerate(
                zip(self.model.stages, output.layers, strict=False), start=1
            )
            for name, value in codebook_usage(
                out.codes, masks, layer.quantizer.codebook_size
            ).items()
        }

    def _finite(self, terms: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the terms as numbers, the same on all ranks, in one transfer from the device."""
        values = torch.stack([term.detach() for term in terms.values()])
        average([values])
        numbers = dict(zip(terms, values.tolist(), strict=True))
        for name, value in numbers.items():
            if not math.isfinite(value):
                raise NonFiniteLoss(
                    f"step {self.steps}: {name} is {value}; look at its curve in log.jsonl, then "
                    "train again with a smaller optim.lr or a smaller weight of that term"
                )
        return numbers

    def _seed(self, stream: int) -> int:
        """Return the seed of this step's draws: stream 0 is common to all ranks."""
        mixed = np.random.SeedSequence((self.config.seed, self.steps, stream))
        return int(mixed.generate_state(1, np.uint64)[0])

    def _mi_scale(self) -> float:
        ramp = self.config.objective.mi_ramp_steps
        return min(1.0, self.steps / ramp) if ramp else 1.0


def _sum(terms: dict[str, float], prefix: str) -> float:
    return sum(value for name, value in terms.items() if name.startswith(prefix))
