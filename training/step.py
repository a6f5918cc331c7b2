"""One optimizer step: fit CLUB, objective, backward, codebook update. The network runs once."""

import torch
from torch import Tensor

from model.modality import Modality
from model.srcid import SRCID
from training.config import TrainConfig
from training.data.sample import Batch
from training.errors import NonFiniteLoss
from training.losses.objective import LayerDraws, Objective
from training.optim import build_optimizer, build_schedule, clip_groups, club_groups, descend
from training.warm_start import WarmStart


class TrainingStep:
    """Everything that changes in training, and the one way in which it changes.

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
        self.schedule = build_schedule(self.optimizer, optim, total_steps)
        self.club_optimizer = build_optimizer(club_groups(objective), club.lr)
        self.warm_start = WarmStart(config.warm_start, config.model.num_layers)
        self.generator = torch.Generator().manual_seed(config.seed)  # of the losses' draws
        self.steps = 0

    def __call__(self, batch: Batch) -> dict[str, float]:
        """Take one step on ``batch`` and return its terms by name.

        Raises:
            NonFiniteLoss: A term is NaN or infinite; nothing was changed by it.
        """
        output = self.model(batch.features, batch.masks, num_layers=self.warm_start.active_layers)
        fits: dict[str, Tensor] = {}
        for _ in range(self.config.objective.club.fits):
            fits = self.objective.fit_loss(output, batch.masks)
            loss = torch.stack(list(fits.values())).sum()
            descend(self.club_optimizer, loss, self.config.optim.clip_norm)

        report = self.objective(
            output, batch.masks, self._tables(), self._draws(batch), mi_scale=self._mi_scale()
        )
        terms = _numbers(report.terms | fits | {"total": report.total})
        _check_finite(terms, self.steps)
        descend(self.optimizer, report.total, self.config.optim.clip_norm)
        self.schedule.step()

        for layer, out in zip(self.model.stages, output.layers, strict=False):
            general = {m: z.detach() for m, z in out.general.items()}
            layer.quantizer.update(general, batch.masks)

        self.warm_start.observe(_sum(terms, "layer1/mi/"), _sum(terms, "layer1/club_fit/"))
        self.steps += 1
        return terms

    def _tables(self) -> list[Tensor]:
        return [layer.quantizer.tables().detach() for layer in self.model.stages]

    def _draws(self, batch: Batch) -> list[LayerDraws]:
        """Draw each layer's CLUB permutations and CPC step; the past has two steps or more."""
        clips, steps = next(iter(batch.masks.values())).shape
        draws = []
        for _ in self.model.stages:
            permutations = {
                Modality(m): torch.randperm(clips, generator=self.generator).to(mask.device)
                for m, mask in batch.masks.items()
            }
            first = min(1, steps - 2)
            drawn = torch.randint(first, steps - 1, (1,), generator=self.generator)
            draws.append(LayerDraws(permutations, int(drawn)))
        return draws

    def _mi_scale(self) -> float:
        ramp = self.config.objective.mi_ramp_steps
        return min(1.0, self.steps / ramp) if ramp else 1.0


def _sum(terms: dict[str, float], prefix: str) -> float:
    return sum(value for name, value in terms.items() if name.startswith(prefix))


def _numbers(terms: dict[str, Tensor]) -> dict[str, float]:
    """Return the terms as numbers, with a single transfer from the device."""
    values = torch.stack([term.detach() for term in terms.values()]).tolist()
    return dict(zip(terms, values, strict=True))


def _check_finite(terms: dict[str, float], step: int) -> None:
    for name, value in terms.items():
        if not abs(value) < float("inf"):
            raise NonFiniteLoss(
                f"step {step}: {name} is {value}; resume with a smaller optim.lr, or look at that "
                "term's curve in log.jsonl before this step"
            )
