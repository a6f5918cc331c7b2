"""Alignment on classifiers that a unit test can hold, and on MiniLM's real words."""

import pytest
import torch

from model.errors import DataError
from model.modality import Modality
from model.srcid import SRCID
from tests.training.alignment.sketches import NAMED, SEEN, World
from training.alignment.align import align
from training.data.bank import Bank, Entry
from training.data.sentences import sentences_about


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def model(world: World) -> SRCID:
    return world.aligned()


@pytest.mark.parametrize("modality", [Modality.AUDIO, Modality.VIDEO])
def test_sentences_find_what_there_were_examples_of(
    world: World, model: SRCID, modality: Modality
) -> None:
    assert world.share_found(model, modality, SEEN) >= 0.9


@pytest.mark.parametrize("modality", [Modality.AUDIO, Modality.VIDEO])
def test_most_of_what_only_has_a_name_is_found_too(
    world: World, model: SRCID, modality: Modality
) -> None:
    assert world.share_found(model, modality, NAMED) >= 0.9


def test_examples_of_a_held_out_class_change_nothing(world: World) -> None:
    others = [entry for entry in world.bank.entries if entry.label != "piano"]
    without = align(
        Bank(others, world.bank.features),
        world.backbones,
        text=world.text,
        config=world.config,
        without=["piano"],
    ).state_dict()
    held_out = world.aligned(without=["piano"]).state_dict()
    assert all(torch.equal(tensor, without[name]) for name, tensor in held_out.items())


def test_sentences_are_looked_at_if_they_are_trained_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the bank, and those about classes that only the bank names."""
    looked_at = set()

    def recording(sentence: str) -> torch.Tensor:
        looked_at.add(sentence)
        return known(sentence)

    known = world.text.words
    monkeypatch.setattr(world.text, "words", recording)
    dog, (comb, paper) = world.bank.entries[0], ("people hum on a comb", "paper hums")
    entries = [
        dog._replace(label="kazoo"),
        dog._replace(label="zither", split="test"),
        Entry("comb", Modality.TEXT, "kazoo", "train", comb),
        Entry("paper", Modality.TEXT, "kazoo", "test", paper),
        *world.bank.entries,
    ]
    bank = Bank(entries, world.bank.features)
    align(bank, world.backbones, text=world.text, config=world.config)
    assert {comb, *sentences_about("kazoo", dog.modality)} <= looked_at
    assert not {paper, *sentences_about("zither", dog.modality)} & looked_at


def test_sounds_are_evened_and_pictures_are_not(world: World, model: SRCID) -> None:
    """The sketches of both have the same geometry, and as they are .31 in one direction."""

    def leading_share(m: Modality) -> float:
        shown = torch.cat([world.bank.features[e.id][0] for e in world.bank.select(m, "train")])
        general = model.quantize({m: shown[None]})[0].general[m][0]
        variances = torch.linalg.eigvalsh(general.T.cov())
        return float(variances[-1] / variances.sum())

    assert leading_share(Modality.AUDIO) < 0.9 * leading_share(Modality.VIDEO)


def test_a_step_does_not_depend_on_the_steps_beside_it(world: World, model: SRCID) -> None:
    draw = torch.Generator().manual_seed(3)
    steps = torch.cat([world.sketch(Modality.AUDIO).example(name, draw) for name in SEEN])
    together = model.encode({Modality.AUDIO: steps[None]})[Modality.AUDIO][0]
    alone = [model.encode({Modality.AUDIO: step[None, None]})[Modality.AUDIO] for step in steps]
    assert torch.equal(together, torch.cat([own[0] for own in alone], 1))


def test_the_same_seed_gives_the_same_checkpoint(world: World, model: SRCID) -> None:
    again = world.aligned().state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in model.state_dict().items())


def test_a_bank_without_sounds_is_refused(world: World) -> None:
    silent = Bank(world.bank.select(Modality.VIDEO, "train"), world.bank.features)
    with pytest.raises(DataError, match="no labelled audio"):
        align(silent, world.backbones, text=world.text, config=world.config)
