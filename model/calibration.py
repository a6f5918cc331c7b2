"""From a score to the probability of a match: ``calibration.json`` beside a checkpoint.

A cosine means little by itself: a sentence and a sound about the same thing may have .4, two
sounds about different things .6. So a logistic curve is fitted for each pair of modalities and
each way to score (training/evaluation/calibration.py). The file is no part of the fingerprint:
it changes no code.
"""

import math
from pathlib import Path

from pydantic import Field, ValidationError

from model.config import FrozenModel
from model.errors import CheckpointError, reason_of
from model.files import atomic_write_text
from model.modality import Modality

CALIBRATION = "calibration.json"
WINDOW = 3  # steps: the only windows that are calibrated


class Logistic(FrozenModel):
    """The probability of a match, 1 / (1 + exp(-(slope * score + bias)))."""

    slope: float
    bias: float

    def __call__(self, score: float) -> float:
        """Return the probability that ``score`` means a match."""
        return 1 / (1 + math.exp(-min(max(self.slope * score + self.bias, -700.0), 700.0)))


class Calibration(FrozenModel):
    """What the scores of one checkpoint mean."""

    # By "query > target, layers, score": "text > audio, both, mean".
    matches: dict[str, Logistic]
    # By modality of a query: whether what lies so far from its codes is anything that the
    # checkpoint knows (Encoder.quantize); it has codes either way.
    familiar: dict[Modality, Logistic] = Field(default_factory=dict)
    # By layer ("1"), by pair ("audio ~ video"): how far the same code means the same in both.
    agreement: dict[str, dict[str, float]] = Field(default_factory=dict)

    def probability(
        self,
        score: float,
        *,
        error: float | None,
        query: Modality,
        target: Modality,
        layers: str,
        kind: str,
    ) -> float | None:
        """Return the probability that a hit is about what was asked; None where not fitted.

        Args:
            score: The hit's.
            error: How far the query lay from its codes; None where that is not known, and it is
                taken for something that the checkpoint knows.
            query: The modality of the query that it is most like.
            target: The modality of the stream that was found.
            layers: "1", "2" or "both".
            kind: "mean", "max" or "window": how streams were scored.
        """
        curve = self.matches.get(pair(query, target, layers=layers, kind=kind))
        if curve is None:
            return None
        is_known = self.familiar.get(query)
        return curve(score) * (1.0 if is_known is None or error is None else is_known(error))


def pair(query: Modality, target: Modality, *, layers: str, kind: str) -> str:
    """Return the key of ``Calibration.matches``."""
    return f"{query} > {target}, {layers}, {kind}"


def read_calibration(folder: Path) -> Calibration | None:
    """Return the calibration of the checkpoint in ``folder``; None where it has none.

    Raises:
        CheckpointError: The file is damaged.
    """
    path = folder / CALIBRATION
    if not path.is_file():
        return None
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise CheckpointError(
            f"{path} is not a calibration ({reason_of(error)}): write it again with "
            "`srcid calibrate`, or remove it"
        ) from error


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Write ``calibration.json`` into the folder of a checkpoint."""
    atomic_write_text(folder / CALIBRATION, calibration.model_dump_json(indent=1) + "\n")
