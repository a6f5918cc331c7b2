"""Composed clips: one class a clip, the same for the same seed, within the steps asked for."""

import pytest
import torch

from model.modality import Modality
from training.config import DataConfig
from training.data.bank import Bank, Entry
from training.data.clips import ComposedClips

CLASSES = ("cat", "dog", "sea")


@pytest.fixture
def bank() -> Bank:
    """Features that say their class in channel 0, their item in channel 1, their view in 2."""
    entries, features = [], {}
    for c, label in enumerate(CLASSES):
        for m, count, steps in (
            (Modality.AUDIO, 3, 7),
            (Modality.VIDEO, 4, 1),
            (Modality.TEXT, 2, 3),
        ):
            for item in range(count):
                for split in ("train", "test"):
                    name = f"{split}/{m}/{label}{item}"
                    entries.append(Entry(name, m, label, split, ""))
                    own = torch.zeros(1 if m is Modality.TEXT else 2, steps, 4)
                    own[..., 0], own[..., 1], own[1:, :, 2] = c, item, 1
                    own[..., 3] = 0 if split == "train" else 9
                    features[name] = own
    return Bank(entries, features)


DATA = DataConfig(steps=5, clips_per_epoch=60)


def test_a_clip_is_of_one_class_and_of_the_train_split(bank: Bank) -> None:
    samples = list(ComposedClips(bank, DATA, seed=1))
    assert len(samples) == 60
    for sample in samples:
        for features in sample.features.values():
            assert features[..., 0].unique().tolist() == [float(sample.label)]
            assert features[..., 3].abs().sum() == 0
        assert sample.features[Modality.VIDEO].shape == (5, 4)
        assert sample.features[Modality.AUDIO].shape == (5, 4)
        assert sample.features[Modality.TEXT].shape == (3, 4)


def test_clips_are_the_same_for_the_same_seed_and_epoch_only(bank: Bank) -> None:
    def drawn(seed: int, epoch: int) -> list[float]:
        clips = ComposedClips(bank, DATA, seed=seed)
        clips.epoch = epoch
        return [float(clips[i].features[Modality.VIDEO].sum()) for i in range(60)]

    assert drawn(1, 0) == drawn(1, 0)
    assert drawn(1, 0) != drawn(1, 1)
    assert drawn(1, 0) != drawn(2, 0)


def test_all_classes_items_views_and_cuts_occur(bank: Bank) -> None:
    clips = ComposedClips(bank, DataConfig(steps=5, clips_per_epoch=400), seed=0)
    samples = [clips[i] for i in range(400)]
    assert {s.label for s in samples} == {0, 1, 2}
    assert {float(s.features[Modality.AUDIO][0, 1]) for s in samples} == {0.0, 1.0, 2.0}
    assert {float(s.features[Modality.AUDIO][0, 2]) for s in samples} == {0.0, 1.0}
    shots = [len(s.features[Modality.VIDEO][:, 1:3].unique(dim=0)) for s in samples]
    assert set(shots) == {1, 2}


def test_a_class_without_a_modality_gives_clips_without_it(bank: Bank) -> None:
    silent = [e for e in bank.entries if not (e.label == "sea" and e.modality is Modality.AUDIO)]
    clips = ComposedClips(Bank(silent, bank.features), DATA, seed=0)
    for sample in (clips[i] for i in range(60)):
        lacks = Modality.AUDIO not in sample.features
        assert lacks == (sample.label == CLASSES.index("sea"))
