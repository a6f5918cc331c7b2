"""Cross-modal contrastive predictive coding: one modality's past foretells another's next step."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.errors import ShapeError
from model.modality import Modality
from training.config import CPCConfig


class CrossModalCPC(nn.Module):
    """InfoNCE between each modality's next general vector and every modality's prediction of it.

    Row i of a comparison is clip i's target; the negatives are the predictions made from the
    other clips' past.

    Args:
        modalities: Those that the network knows.
        dim: D, of the general vectors.
        config: Depth of the LSTMs, weight of predicting oneself, form of the comparison.

    Source: van den Oord et al., 2018; SRCID eq. 7 with R = 1. The published LSTMs have two
    layers where the paper says one.
    """

    def __init__(self, modalities: tuple[Modality, ...], dim: int, config: CPCConfig) -> None:
        super().__init__()
        self.config = config
        self.contexts = nn.ModuleDict(
            {m: nn.LSTM(dim, dim, config.lstm_layers, batch_first=True) for m in modalities}
        )
        self.predictors = nn.ModuleDict({m: nn.Linear(dim, dim) for m in modalities})

    def forward(
        self, z: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor], *, step: int
    ) -> Tensor:
        """Return the sum of the comparisons over all ordered pairs of modalities, in nats.

        Args:
            z: ``[B, T, D]`` general vectors, not quantized.
            masks: ``[B, T]``; a clip takes part in a pair where both modalities reach the step.
            step: The last step t of the past, counted from 0; step t + 1 is foretold.

        Raises:
            ShapeError: There is no step t + 1.
        """
        steps = next(iter(z.values())).shape[1]
        if not 0 <= step < steps - 1:
            raise ShapeError(f"CPC cannot predict step {step + 1} of clips of {steps} steps")
        predicted = {m: self._predict(m, own[:, : step + 1]) for m, own in z.items()}  # [B, D]
        losses = []
        for m, own in z.items():
            for n, prediction in predicted.items():
                weight = self.config.self_weight if m == n else 1.0
                known = masks[n][:, step] & masks[m][:, step + 1]  # [B]
                losses.append(weight * self._compare(own[:, step + 1], prediction, known))
        return torch.stack(losses).sum()

    def _predict(self, modality: Modality, past: Tensor) -> Tensor:
        context, _ = self.contexts[modality](past)
        prediction: Tensor = self.predictors[modality](context[:, -1])
        return prediction

    def _compare(self, target: Tensor, prediction: Tensor, known: Tensor) -> Tensor:
        """Return -log softmax of the true prediction, mean over the ``known`` clips."""
        if self.config.temperature is not None:
            target, prediction = F.normalize(target, dim=-1), F.normalize(prediction, dim=-1)
        logits = target @ prediction.T / (self.config.temperature or 1.0)  # [B, B]
        logits = logits.masked_fill(~known, torch.finfo(logits.dtype).min)
        log_likelihood = logits.log_softmax(1).diagonal()
        return -(log_likelihood * known).sum() / known.sum().clamp(min=1)
