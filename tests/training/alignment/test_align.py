"""Alignment on classifiers that a unit test can hold, and on MiniLM's real words."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones import build_backbone
from model.backbones.base import Backbone
from model.backbones.classifier import Classifier
from model.config import ModalityConfig, RVQConfig, SRCIDConfig
from model.errors import DataError
from model.media import Clip
from model.modality import Modality
from model.srcid import SRCID
from training.alignment.align import align
from training.alignment.sentences import TextVectors
from training.data.bank import Bank, Entry

SEEN = ("dog", "piano", "helicopter", "rain", "accordion")
NAMED = ("trumpet", "tractor", "kitten", "thunderstorm", "volcano", "spoon")  # no examples
CLASSES = [*SEEN, *NAMED]
SIZE = 24  # of a pooled vector


class Sketch(Backbone, Classifier):
    """A classifier whose class i is seen where the pooled vector is large in direction i."""

    def __init__(self, modality: Modality) -> None:
        super().__init__()
        self.modality = modality
        self.feature_shape = (SIZE + len(CLASSES),)
        self._head = nn.Linear(SIZE, len(CLASSES)).requires_grad_(False)
        torch.manual_seed(len(modality))
        nn.init.orthogonal_(self._head.weight)
        self._head.weight.mul_(6)
        self._head.bias.fill_(-2)

    @property
    def head(self) -> nn.Linear:
        return self._head

    @property
    def class_names(self) -> list[str]:
        return list(CLASSES)

    def beliefs(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def preprocess(self, item: Clip | str) -> Tensor:
        raise NotImplementedError

    def forward(self, steps: Tensor) -> Tensor:
        return self.classified(steps)

    def example(self, name: str, draw: torch.Generator) -> Tensor:
        """Features ``[1, E + L]`` of something of a class."""
        own = self.head.weight[CLASSES.index(name)] / 6
        noise = 0.15 * torch.randn(SIZE, generator=draw)
        return self.classified(F.relu(own + noise)[None])


class World:
    """Classifiers, their bank, and what an alignment makes of it."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(1)
        self.backbones: dict[Modality, Backbone] = {
            Modality.AUDIO: Sketch(Modality.AUDIO),
            Modality.VIDEO: Sketch(Modality.VIDEO),
            Modality.TEXT: build_backbone("minilm"),
        }
        self.text = TextVectors(self.backbones[Modality.TEXT])
        entries, features = [], {}
        for m in (Modality.AUDIO, Modality.VIDEO):
            sketch = self.sketch(m)
            for name in SEEN:
                for number in range(8):
                    entry = Entry(f"{m}-{name}-{number}", m, name, "train", "")
                    entries.append(entry)
                    features[entry.id] = sketch.example(name, draw)[None]
        self.bank = Bank(entries, features)
        self.config = SRCIDConfig(
            modalities={
                m: ModalityConfig(backbone="none", feature_shape=own.feature_shape, specific_dim=8)
                for m, own in self.backbones.items()
            },
            num_layers=1,
            dim=16,
            feedforward_dim=16,
            transformer_layers=1,
            quantizer=RVQConfig(codebook_size=40, stages=2),
        )

    def sketch(self, modality: Modality) -> Sketch:
        own = self.backbones[modality]
        assert isinstance(own, Sketch)
        return own

    def aligned(self, **options: object) -> SRCID:
        return align(
            self.bank,
            self.backbones,
            text=self.text,
            config=self.config,
            **options,
        )

    def vector(self, model: SRCID, modality: Modality, features: Tensor) -> Tensor:
        """What the codes of an item stand for, ``[D]``."""
        return model({modality: features[None]}).layers[0].quantized[modality][0].mean(0)

    def found(self, model: SRCID, modality: Modality, name: str) -> str:
        """Return the class whose sentence lies nearest to an example of ``name``."""
        example = self.sketch(modality).example(name, torch.Generator().manual_seed(9))
        item = self.vector(model, modality, example)
        asked = {
            label: self.vector(model, Modality.TEXT, self.text.words(f"one {label} over there"))
            for label in CLASSES
        }
        return max(asked, key=lambda label: float(torch.cosine_similarity(asked[label], item, 0)))


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
    assert [world.found(model, modality, name) for name in SEEN] == list(SEEN)


@pytest.mark.parametrize("modality", [Modality.AUDIO, Modality.VIDEO])
def test_most_of_what_only_has_a_name_is_found_too(
    world: World, model: SRCID, modality: Modality
) -> None:
    right = [world.found(model, modality, name) == name for name in NAMED]
    assert sum(right) >= 4


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
    with pytest.raises(DataError, match="no audio with a class"):
        align(silent, world.backbones, text=world.text, config=world.config)
