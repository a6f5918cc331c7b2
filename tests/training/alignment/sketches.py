"""Classifiers that a unit test can hold, and MiniLM's real words."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones import build_backbone
from model.backbones.base import Backbone
from model.backbones.classifier import Classifier
from model.config import ModalityConfig, RVQConfig, SRCIDConfig
from model.media import Clip
from model.modality import Modality
from model.srcid import SRCID
from training.alignment.align import align
from training.data.bank import Bank, Entry
from training.data.sentences import TextVectors

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
    """Classifiers, a bank of some of their classes, and what an alignment makes of it."""

    def __init__(self, shown: Sequence[str] = SEEN) -> None:
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
            for name in shown:
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
            quantizer=RVQConfig(codebook_size=40, stages=2, carry=True),
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

    def share_found(self, model: SRCID, modality: Modality, names: tuple[str, ...]) -> float:
        """Return of how many of five examples of each the name is what lies nearest their codes."""
        draw = torch.Generator().manual_seed(9)
        examples = [(name, self.sketch(modality).example(name, draw)) for name in names * 5]
        asked = torch.stack([self._asked(model, name) for name in CLASSES])
        right = 0
        for name, example in examples:
            lasting = example.expand(1, 3, -1)
            item = model.quantize({modality: lasting})[0].quantized[modality][0].mean(0)
            right += CLASSES[int((asked @ item).argmax())] == name
        return right / len(examples)

    def _asked(self, model: SRCID, name: str) -> Tensor:
        words = self.text.words(f"one {name} over there")
        general = model.quantize({Modality.TEXT: words[None]})[0].general[Modality.TEXT]
        return F.normalize(general[0].mean(0), dim=0)
