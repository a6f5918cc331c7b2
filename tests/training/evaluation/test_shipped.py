"""The shipped checkpoint reaches the figures that its card tells."""

from pathlib import Path

import pytest

from model.encoder import Encoder
from model.media import read_clip
from model.modality import Modality
from training.data.bank import Bank, read_manifest
from training.evaluation.bank import evaluate_bank

GOAL = 0.85  # class mAP in each direction, with the codes of both layers; chance is 0.083


@pytest.mark.shared
def test_compact_finds_across_modalities_and_has_not_collapsed(shared: Path) -> None:
    folder = shared / "data" / "demo12"
    encoder = Encoder.from_pretrained("compact")
    entries = [entry for entry in read_manifest(folder) if entry.split == "test"]
    features = {}
    for entry in entries:
        is_text = entry.modality is Modality.TEXT
        prepared = encoder.prepare(entry.text if is_text else read_clip(folder / entry.id))
        features[entry.id] = encoder.features([(entry.modality, prepared[entry.modality])])[0][None]
    report = evaluate_bank(encoder.model, Bank(entries, features), "test")
    assert min(report.retrieval["both", "codes"].values()) >= GOAL
    assert min(report.retrieval["2", "codes"].values()) > 0.5
    for layer in report.layers:
        assert layer.perplexity > 12  # more than a code a class
        assert min(layer.agreement.values()) > 0.2
