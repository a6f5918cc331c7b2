"""Clips of things that have names: real, imagined, two at once, and recorded together."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from model.errors import DataError
from model.modality import Modality
from tests.training.alignment.sketches import NAMED, SEEN, SIZE, World
from training.config import DataConfig
from training.data.bank import Bank
from training.data.named import NamedClips, RealClip

AUDIO, VIDEO, TEXT = Modality.AUDIO, Modality.VIDEO, Modality.TEXT
COUNT = 300


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def clips(world: World, **options: object) -> NamedClips:
    data = DataConfig(clips_per_epoch=COUNT, imagined=options.pop("imagined", 0.5))
    made = {"bank": world.bank, "seed": 3, **options}
    bank = made.pop("bank")
    return NamedClips(bank, world.backbones, world.text, data, **made)


def test_every_clip_has_a_sentence_a_meaning_and_something_seen_or_heard(world: World) -> None:
    kinds: Counter[frozenset[Modality]] = Counter()
    for sample in clips(world).__getitems__(range(COUNT)):
        assert sample.meaning is not None
        assert sample.meaning.norm() == pytest.approx(1, abs=1e-5)
        assert 1 <= len(sample.features[TEXT]) <= 10
        for m in sample.features.keys() - {TEXT}:
            own = sample.features[m]
            assert own.shape[1:] == world.backbones[m].feature_shape
            # What the classifier believes belongs to the vector beside it, also of a mixture.
            torch.testing.assert_close(world.sketch(m).classified(own[:, :SIZE]), own)
        kinds[frozenset(sample.features) - {TEXT}] += 1
    assert set(kinds) == {frozenset({AUDIO}), frozenset({VIDEO}), frozenset({AUDIO, VIDEO})}


def test_a_clip_depends_on_seed_epoch_and_index_and_on_nothing_else(world: World) -> None:
    one, other = clips(world), clips(world)
    together, alone = one.__getitems__([5, 6, 7]), other[6]
    for m, own in alone.features.items():
        torch.testing.assert_close(own, together[1].features[m])
    other.epoch = 1
    assert not torch.equal(other[6].meaning, alone.meaning)
    assert not torch.equal(clips(world, seed=4)[6].meaning, alone.meaning)


def test_imagined_examples_are_of_names_that_no_example_has(world: World) -> None:
    made = clips(world)
    assert set(made.imagined[VIDEO]) == {*SEEN, *NAMED}
    assert set(made.real[VIDEO]) == set(SEEN)
    believed = [
        int(world.sketch(VIDEO).head(own).argmax()) == world.sketch(VIDEO).class_names.index(name)
        for name in NAMED
        for own in made.imagined[VIDEO][name]
    ]
    assert sum(believed) > 0.6 * len(believed)  # the others began as something else, and kept some


def test_of_what_is_held_out_there_is_no_example_and_no_sentence(world: World) -> None:
    made = clips(world, without=["piano", "trumpet"])
    for m in (AUDIO, VIDEO):
        assert {"piano", "trumpet"}.isdisjoint({*made.real[m], *made.imagined[m]})
    assert {"piano", "trumpet"}.isdisjoint(made.sentences)


def test_a_real_clip_is_a_stretch_of_itself_in_sound_and_picture_alike(world: World) -> None:
    seconds = torch.arange(8.0)[:, None]
    features = {m: seconds.expand(-1, world.backbones[m].feature_shape[0]) for m in (AUDIO, VIDEO)}
    clip = RealClip(features, "dog barking", [world.text.words("a dog barks in the yard")])
    made = clips(world, clips=[clip])
    found = [
        s
        for s in made.__getitems__(range(COUNT))
        if torch.equal(s.features[TEXT], clip.sentences[0])
    ]
    assert 0.05 * COUNT < len(found) < 0.25 * COUNT
    lengths = set()
    for sample in found:
        start, length = int(sample.features[AUDIO][0, 0]), len(sample.features[AUDIO])
        assert torch.equal(sample.features[VIDEO][:, 0], torch.arange(start, start + length) * 1.0)
        assert torch.equal(sample.features[VIDEO][:, 0], sample.features[AUDIO][:, 0])
        lengths.add(length)
    assert len(lengths) > 2


def test_a_bank_without_sounds_is_refused(world: World, tmp_path: Path) -> None:
    pictures = [entry for entry in world.bank.entries if entry.modality is VIDEO]
    with pytest.raises(DataError, match="no labelled audio"):
        clips(world, bank=Bank(pictures, world.bank.features))
