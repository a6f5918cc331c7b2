"""Features stay what they are, or their version counts in every fingerprint.

``features.mp4`` is three seconds of H.264 with frames that no other refers to, at 25 frames a
second, and AAC; ``features.json`` holds some numbers of what is made of it and of a sentence.
After a change on purpose: raise ``model.checkpoint.FEATURES``, and `python -m
tests.model.test_features` writes the numbers again.
"""

import json
from pathlib import Path

import pytest
import torch

from model.backbones import build_backbone
from model.checkpoint import FEATURES, SHIPPED, fingerprint
from model.media import read_clip
from model.modality import Modality

HERE = Path(__file__).parent
MEDIA, NUMBERS = HERE / "features.mp4", HERE / "features.json"
SENTENCE = "A dog barks at the helicopter, unbelievably loudly!"
STRIDE = 61  # of the features that are kept
# Of the largest. ONNX Runtime for torch changes 2e-6, a frame later .24, another filter of the
# scaling .11.
TOLERANCE = 0.02


def numbers() -> dict[str, list[list[float]]]:
    """Return every 61st feature of each step, by backbone."""
    clip = read_clip(MEDIA)
    found = {}
    for name in ("efficientnet-lite0-classes", "yamnet-classes", "minilm"):
        backbone = build_backbone(name)
        is_text = backbone.modality is Modality.TEXT
        (features,) = backbone.extract([backbone.preprocess(SENTENCE if is_text else clip)])
        found[name] = features[:, ::STRIDE].tolist()
    return {"version": [[float(FEATURES)]], **found}


def test_features_are_those_of_their_version() -> None:
    kept = json.loads(NUMBERS.read_text())
    for name, found in numbers().items():
        own, expected = torch.tensor(found), torch.tensor(kept[name])
        assert own.shape == expected.shape, name
        change = float((own - expected).abs().max() / expected.abs().max())
        assert change <= TOLERANCE, (
            f"{name} changed by {change:.3f} of the largest number: undo it, or raise "
            "model.checkpoint.FEATURES and run python -m tests.model.test_features"
        )


def test_the_version_of_features_is_part_of_a_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = SHIPPED / "compact"
    own = fingerprint(folder)
    monkeypatch.setattr("model.checkpoint.FEATURES", 3)
    second = fingerprint(folder)
    monkeypatch.setattr("model.checkpoint.FEATURES", 4)
    assert len({own, second, fingerprint(folder)}) == 3


if __name__ == "__main__":
    NUMBERS.write_text(json.dumps(numbers()) + "\n")
