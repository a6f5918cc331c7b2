"""When layer 2's losses join: not before layer 1 has disentangled something."""

import logging

from training.config import WarmStartConfig

logger = logging.getLogger(__name__)

DECAY = 0.98  # of the running means; about 50 steps


class WarmStart:
    """Counts the layers that take part in training; it only ever opens one.

    Source: SRCID section III-B ("once the first layer's MI loss approaches 0"); the published
    code counts epochs instead. docs/training.md tells the traps.
    """

    def __init__(self, config: WarmStartConfig, num_layers: int) -> None:
        self.config = config
        self.num_layers = num_layers
        self.opened_at: int | None = None  # the step at which layer 2 joined
        self.steps = 0
        self.mi = 0.0  # running mean of layer 1's bound, summed over the modalities
        self.fit = 0.0  # running mean of layer 1's CLUB fit loss
        self.calm = 0  # steps in a row for which the MI trigger's conditions held

    @property
    def active_layers(self) -> int:
        """Layers whose losses take part."""
        return self.num_layers if self.opened_at is not None else 1

    def start_epoch(self, epoch: int) -> None:
        """Open layer 2 where the trigger is the epoch and it has come."""
        if self.config.trigger == "epoch" and epoch >= self.config.epoch:
            self._open(f"epoch {epoch} began")

    def observe(self, mi: float, fit: float) -> None:
        """Take in one step's layer-1 bound and CLUB fit loss, in nats."""
        self.steps += 1
        before = self.fit
        weight = max(1 - DECAY, 1 / self.steps)  # a plain mean at first
        self.mi += weight * (mi - self.mi)
        self.fit += weight * (fit - self.fit)
        if self.config.trigger != "mi":
            return
        drift = abs(self.fit - before) * self.config.patience  # over that many steps
        settled = drift <= self.config.settled * max(abs(self.fit), 1.0)
        near_zero = abs(self.mi) < self.config.threshold
        late_enough = self.steps >= self.config.min_steps
        self.calm = self.calm + 1 if near_zero and settled and late_enough else 0
        if self.calm >= self.config.patience:
            self._open(f"layer 1's MI bound settled at {self.mi:.3f} nats")

    def _open(self, why: str) -> None:
        if self.opened_at is None and self.num_layers > 1:
            self.opened_at = self.steps
            logger.info("layer 2 joins at step %d: %s", self.steps, why)

    def finish(self) -> None:
        """Warn if layer 2 never joined: its weights, and so its codes, are random."""
        if self.opened_at is None and self.num_layers > 1:
            trigger = self.config.trigger
            when = f"epoch {self.config.epoch}" if trigger == "epoch" else "layer 1's MI near 0"
            logger.warning(
                "layer 2 never joined (warm_start waits for %s): it is untrained, search with "
                "layer 1 alone, train longer or set warm_start.epoch",
                when,
            )

    def state(self) -> dict[str, float | int | None]:
        """Return what a resumed run needs."""
        return {key: getattr(self, key) for key in ("opened_at", "steps", "mi", "fit", "calm")}

    def restore(self, state: dict[str, float | int | None]) -> None:
        """Take up where ``state`` left off."""
        for key, value in state.items():
            setattr(self, key, value)
