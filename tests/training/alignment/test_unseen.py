"""Which classes are left out together, and what is asked about them."""

import torch

from model.backbones import build_backbone
from model.calibration import pair
from model.modality import Modality
from model.srcid import SRCID
from tests.training.alignment.sketches import CLASSES, World
from training.alignment.unseen import FOLDS, SPLIT, asked, calibrate_unseen, folds
from training.data.bank import Bank, Entry
from training.data.sentences import TextVectors
from training.evaluation.calibration import fitted, observe

BOTH = ("dog", "cat", "sea", "rain", "train", "crow", "hen", "clock", "saw", "piano", "grand piano")
SEEN = ("anchor", "ant", "barrel", "bonsai", "crocodile", "crocodile head")
HEARD = ("sneeze", "applause")


def make_bank() -> Bank:
    entries = [
        Entry(f"{m}-{label}", m, label, "train", "")
        for m, labels in ((Modality.VIDEO, BOTH + SEEN), (Modality.AUDIO, BOTH + HEARD))
        for label in labels
    ]
    entries.append(Entry("dog-sentence", Modality.TEXT, "dog", "train", "a dog runs"))
    return Bank(entries, {entry.id: torch.rand(1, 1, 8) for entry in entries})


def test_every_class_is_left_out_once() -> None:
    found = list(folds(make_bank()))
    assert len(found) == FOLDS
    assert sorted(label for own in found for label in own) == sorted(BOTH + SEEN + HEARD)


def test_every_fold_has_things_that_are_both_seen_and_heard() -> None:
    for own in folds(make_bank()):
        assert len(own & set(BOTH)) >= 2


def test_names_within_one_another_are_left_out_together() -> None:
    for one, other in (("crocodile", "crocodile head"), ("piano", "grand piano")):
        assert all((one in own) == (other in own) for own in folds(make_bank()))


def test_with_too_few_classes_none_are_left_out() -> None:
    bank = make_bank()
    few = [entry for entry in bank.entries if entry.label not in BOTH[:2]]
    assert list(folds(Bank(few, bank.features))) == []


def test_what_is_left_out_is_asked_for_by_sentences_that_name_it() -> None:
    text = TextVectors(build_backbone("minilm"))
    found = asked(make_bank(), {"dog", "sneeze"}, text)
    assert {entry.split for entry in found.entries} == {SPLIT}
    assert {e.id for e in found.entries if e.modality is not Modality.TEXT} == {
        "video-dog",
        "audio-dog",
        "audio-sneeze",
    }
    sentences = [entry for entry in found.entries if entry.modality is Modality.TEXT]
    assert {entry.label for entry in sentences} == {"dog", "sneeze"}
    for entry in sentences:
        assert entry.label in entry.text
        assert torch.equal(found.features[entry.id][0], text.words(entry.text))


def test_what_was_not_seen_is_less_sure_than_what_was() -> None:
    world = World(CLASSES)
    aligned = world.aligned()
    found = calibrate_unseen(
        aligned, world.bank, world.backbones, text=world.text, config=world.config, seed=0
    )
    assert found is not None
    seen = fitted(
        [observe(aligned, asked(world.bank, own, world.text), SPLIT) for own in folds(world.bank)]
    )
    for target in (Modality.AUDIO, Modality.VIDEO):
        key = pair(Modality.TEXT, target, layers="both", kind="mean")
        assert 0 < found.matches[key].slope < seen[key].slope
    assert found.agreement == {}  # the bank has no test split


def test_too_few_classes_tell_nothing_of_what_was_not_seen() -> None:
    world = World()
    model = SRCID(world.config)
    options = {"text": world.text, "config": world.config, "seed": 0}
    assert calibrate_unseen(model, world.bank, world.backbones, **options) is None
