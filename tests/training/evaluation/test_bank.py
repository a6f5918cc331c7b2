"""The figures of a bank, on networks and items whose answer is known."""

import pytest
import torch

from model.config import RVQConfig, SRCIDConfig
from model.modality import Modality
from model.srcid import SRCID
from training.data.bank import Bank, Entry
from training.evaluation.bank import evaluate_bank
from training.evaluation.disentanglement import disentanglement
from training.evaluation.show import show


@pytest.fixture
def bank() -> Bank:
    torch.manual_seed(1)
    entries, features = [], {}
    for m in Modality:
        for label in ("cat", "dog", "sea"):
            for split, count in (("train", 30), ("test", 4)):
                for number in range(count):
                    name = f"{m}/{label}{number}/{split}"
                    entries.append(Entry(name, m, label, split, ""))
                    features[name] = torch.randn(1, 2, 8)
    return Bank(entries, features)


def test_every_layer_choice_kind_and_direction_is_reported(network: SRCID, bank: Bank) -> None:
    report = evaluate_bank(network, bank, "test")
    assert set(report.retrieval) == {
        (layers, kind) for layers in ("1", "2", "both") for kind in ("codes", "continuous")
    }
    for figures in report.retrieval.values():
        assert set(figures) == {
            "text -> audio",
            "text -> video",
            "audio -> video",
            "video -> audio",
        }
        assert all(0 < value <= 1 for value in figures.values())
    assert len(report.layers) == 2
    assert report.chance == pytest.approx(1 / 3)


def test_random_features_are_found_by_chance(network: SRCID, bank: Bank) -> None:
    figures = evaluate_bank(network, bank, "test").retrieval["both", "codes"]
    assert sum(figures.values()) / 4 == pytest.approx(1 / 3, abs=0.15)


def test_a_collapsed_codebook_shows(network: SRCID, bank: Bank) -> None:
    for layer in network.stages:
        layer.quantizer.codebook.vectors[1:] = 1e3
    for own in evaluate_bank(network, bank, "test").layers:
        assert own.codes_used == 1
        assert own.perplexity == pytest.approx(1)
        assert set(own.agreement.values()) == {1.0}


def test_stages_of_a_residual_quantizer_are_codes_apart(
    tiny_config: SRCIDConfig, bank: Bank
) -> None:
    """Stage 1's code 5 is not stage 2's: with one code a stage, as many codes are in use."""
    quantizer = RVQConfig(codebook_size=16, stages=3)
    network = SRCID(tiny_config.model_copy(update={"quantizer": quantizer})).eval()
    for layer in network.stages:
        for stage in layer.quantizer.stages:
            stage.vectors[1:] = 1e3
    for own in evaluate_bank(network, bank, "test").layers:
        assert own.codes_used == 3
        assert own.perplexity == pytest.approx(3)


def test_a_collapsed_specific_feature_shows(network: SRCID, bank: Bank) -> None:
    alive = disentanglement(network, bank, Modality.AUDIO, fit_on="train", split="test")[0]
    with torch.no_grad():
        network.stages[0].specific[Modality.AUDIO].linear.weight.zero_()
    dead = disentanglement(network, bank, Modality.AUDIO, fit_on="train", split="test")[0]
    assert alive.specific_variance > 1e-3
    assert dead.specific_variance == pytest.approx(0, abs=1e-12)
    assert dead.floor == -4
    assert dead.fit < alive.fit


def test_the_text_report_names_what_must_always_be_printed(network: SRCID, bank: Bank) -> None:
    parts = {m: disentanglement(network, bank, m, fit_on="train", split="test") for m in Modality}
    text = show(evaluate_bank(network, bank, "test"), parts)
    for word in (
        "layer 1, codes",
        "layer 2, continuous",
        "layers both, codes",
        "perplexity",
        "near-duplicates",
        "agreement",
        "MI",
        "CLUB fit",
        "floor",
        "variance",
        "chance",
    ):
        assert word in text
