"""Warns where specific features lose their variance: then CLUB's bound is 0 and says nothing."""

import logging
from collections.abc import Mapping

logger = logging.getLogger(__name__)


class CollapseWatch:
    """Warns once about each specific part whose variance falls below ``threshold``.

    CLUB's Gaussian has a variance of at least 1/e. Features that vary far less are predicted
    perfectly by a constant: their mutual information is 0, and the next layer gets an input
    without information.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.warned: set[str] = set()

    def observe(self, terms: Mapping[str, float], step: int) -> None:
        """Check one step's terms, ``layerN/specific_variance/MODALITY`` among them."""
        for name, value in terms.items():
            if "/specific_variance/" in name and value < self.threshold and name not in self.warned:
                self.warned.add(name)
                logger.warning(
                    "step %d: %s is %.1g, below %.1g: specific features that hardly vary share no "
                    "information, so their MI is 0; lower the weight objective.layers.*.mi, or set "
                    "model.standardize_specific=true",
                    step,
                    name,
                    value,
                    self.threshold,
                )
