"""Early stopping: which epoch is the best so far, and whether a better one is still waited for."""

from collections.abc import Mapping

from model.errors import ConfigError
from model.srcid import SRCID
from training.config import StoppingConfig
from training.data.bank import Bank
from training.evaluation.bank import evaluate_bank

SPLIT = "validation"


def validate(model: SRCID, bank: Bank, *, num_layers: int) -> dict[str, float]:
    """Return class mAP by direction, from codes, on the bank's validation split, and their mean.

    Args:
        model: As it is in the middle of training; its mode is left as it was.
        bank: Must have a validation split; no other split is looked at.
        num_layers: Layers that take part in training so far, whose codes are compared.

    Raises:
        ConfigError: A modality has no item in the validation split.
    """
    for m in model.modalities:
        if not bank.select(m, SPLIT):
            raise ConfigError(f"no {m} item is left for validation: raise data.validation")
    training = model.training
    report = evaluate_bank(model.eval(), bank, SPLIT)
    model.train(training)
    figures = report.retrieval["both" if num_layers > 1 else "1", "codes"]
    return {**figures, "mean": sum(figures.values()) / len(figures)}


class Stopping:
    """Remembers the best epoch. What counts is the mean over directions of ``validate``.

    When layer 2 joins, all starts anew: an epoch in which layer 2 had learned nothing yet must
    not be the checkpoint, however good layer 1 was. For the same reason a run never ends before
    all its layers take part.
    """

    def __init__(self, config: StoppingConfig, num_layers: int) -> None:
        self.config, self.num_layers = config, num_layers
        self.layers = 0  # that took part in the last epoch
        self.best = float("-inf")
        self.best_epoch: int | None = None
        self.since_best = 0  # epochs

    @property
    def done(self) -> bool:
        """Whether to stop here."""
        patience = self.config.patience
        return (
            patience is not None and self.layers == self.num_layers and self.since_best >= patience
        )

    def observe(self, figure: float, *, epoch: int, layers: int) -> bool:
        """Take in an epoch's figure; return whether it is the best so far."""
        if layers != self.layers:
            self.layers, self.best, self.since_best = layers, float("-inf"), 0
        if figure > self.best:
            self.best, self.best_epoch, self.since_best = figure, epoch, 0
            return True
        self.since_best += 1
        return False

    def state(self) -> Mapping[str, float | int | None]:
        """Return what a resumed run needs."""
        keys = ("layers", "best", "best_epoch", "since_best")
        return {key: getattr(self, key) for key in keys}

    def restore(self, state: Mapping[str, float | int | None]) -> None:
        """Take up where ``state`` left off."""
        for key, value in state.items():
            setattr(self, key, value)
