"""Fitting what scores mean: curves whose truth is known, scores as the store computes them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from app.schemas.search import SearchOptions
from app.store.base import Item, Stream
from app.store.local import LocalStore
from model.encoder import Encoder, vocabulary_of
from model.modality import Modality
from model.srcid import SRCID
from training.data.bank import Bank, Entry
from training.evaluation.calibration import calibrate, errors, fit_logistic, scores


def make_bank(scale: float = 1.0) -> Bank:
    generator = torch.Generator().manual_seed(1)
    entries, features = [], {}
    for m in Modality:
        for label in ("cat", "dog"):
            for split, count in (("train", 8), ("test", 4)):
                for number in range(count):
                    name = f"{m}/{label}{number}/{split}"
                    entries.append(Entry(name, m, label, split, ""))
                    features[name] = scale * torch.randn(1, 4, 8, generator=generator)
    return Bank(entries, features)


def test_the_fit_finds_the_curve_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    found = rng.uniform(-1, 1, 200_000)
    chance = 1 / (1 + np.exp(-(6 * found - 2)))
    curve = fit_logistic(found, rng.random(len(found)) < chance)
    assert curve.slope == pytest.approx(6, rel=0.03)
    assert curve.bias == pytest.approx(-2, rel=0.03)


def test_a_balanced_fit_knows_nothing_of_how_many_there_are() -> None:
    rng = np.random.default_rng(0)
    near, far = rng.normal(1, 0.5, 20_000), rng.normal(-1, 0.5, 500)
    is_near = np.arange(len(near) + len(far)) < len(near)
    curve = fit_logistic(np.concatenate([near, far]), is_near, is_balanced=True)
    assert -curve.bias / curve.slope == pytest.approx(0, abs=0.05)  # one half in the middle


def test_scores_that_tell_without_a_mistake_leave_the_slope_finite() -> None:
    curve = fit_logistic(np.array([0.0, 0.1, 0.9, 1.0]), np.array([False, False, True, True]))
    assert 0 < curve.slope < 1e3
    assert curve(0.0) < 0.5 < curve(1.0)


@pytest.mark.parametrize("kind", ["mean", "max", "window"])
@pytest.mark.parametrize("layers", [[1], [1, 2]])
def test_scores_are_those_of_the_store(
    network: SRCID, tmp_path: Path, kind: str, layers: list[int]
) -> None:
    vocabulary = vocabulary_of(network)
    rng = np.random.default_rng(0)
    items = [rng.integers(0, 32, (2, length)).astype(np.int16) for length in (1, 2, 3, 7)]
    query = vocabulary.pooled(rng.integers(0, 32, (2, 4)).astype(np.int16), layers)
    expected = scores(query[None], items, vocabulary, layers, kind=kind)[0]
    with LocalStore(tmp_path, vocabulary, fingerprint="x") as store:
        for number, codes in enumerate(items):
            streams = {Modality.AUDIO: Stream(codes, 7.0)}
            store.add(Item(str(number), streams, {}, None, ""), replace=False)
        hits = store.search(
            query[None], SearchOptions(targets=[Modality.AUDIO], k=9, score=kind), layers=layers
        )
    assert {int(hit.item.id): hit.score for hit in hits} == pytest.approx(
        dict(enumerate(expected)), abs=2e-6
    )


def test_every_pair_layer_and_kind_is_fitted(network: SRCID) -> None:
    found = calibrate(network, make_bank(), fit_on="train", held_out="test")
    assert len(found.matches) == 3 * 3 * 3 * 3
    assert found.familiar == {}
    assert found.agreement.keys() == {"1", "2"}
    assert found.agreement["1"].keys() == {"audio ~ video", "audio ~ text", "video ~ text"}


def test_what_is_foreign_lies_farther_from_its_codes(network: SRCID) -> None:
    bank, foreign = make_bank(), make_bank(scale=0.01)
    found = calibrate(network, bank, fit_on="train", held_out="test", foreign=foreign)
    for m in Modality:
        near, far = errors(network, bank, m, "test"), errors(network, foreign, m, None)
        assert len(far) == 24
        is_farther = far.mean() > near.mean()
        assert (found.familiar[m].slope < 0) == is_farther


def test_errors_are_those_of_the_encoder(tiny_checkpoint: Path) -> None:
    encoder = Encoder.from_pretrained(tiny_checkpoint)
    bank = make_bank()
    entries = bank.select(Modality.AUDIO, "test")
    items = [(Modality.AUDIO, bank.features[entry.id][0]) for entry in entries]
    quantized = encoder.quantize(items)
    expected = errors(encoder.model, bank, Modality.AUDIO, "test")
    np.testing.assert_allclose([own.error for own in quantized], expected, rtol=1e-4)
