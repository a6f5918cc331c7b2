"""Composed scenes as the evaluation and the training read them.

Shape letters: N scenes, T steps, F feature dim, C classes.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from model.errors import ConfigError
from model.modality import Modality
from training.config import DataConfig
from training.data.bank import Bank, Entry
from training.data.sample import Sample
from training.data.scenes.folder import (
    ScenesAbout,
    read_about,
    read_features,
    read_manifest,
)
from training.data.scenes.script import SECONDS, SETS, Scene

TRAINED_ON = ("single", "many")


class LabelledScenes:
    """One set and split, labelled by the second (``training.data.labelled.LabelledClips``)."""

    def __init__(self, scenes: "Scenes", name: str, split: str) -> None:
        self.name = name
        self.classes = scenes.about.classes
        self.modalities = SETS[name]
        self.scenes = scenes.select(name, split)
        self._features = scenes.features(name, split)

    def __len__(self) -> int:
        return len(self.scenes)

    def features(self, index: int, modality: Modality) -> Tensor:
        """Return ``[T, *F]`` float32."""
        return self._features[modality][index]

    def labels(self, index: int, modality: Modality) -> Tensor:
        """Return bool ``[T, C]``: what can be seen, or heard, in each second."""
        labels = torch.zeros(SECONDS, len(self.classes), dtype=torch.bool)
        for event in self.scenes[index].events:
            if modality in event.spans:
                first, last = event.spans[modality]
                labels[first:last, self.classes.index(event.label)] = True
        return labels


class CaptionedScenes:
    """The scenes of `many` in which something is seen, or heard, and the sentences that say what.

    (``training.data.labelled.CaptionedClips``.)
    """

    def __init__(self, scenes: "Scenes", modality: Modality, split: str) -> None:
        self.name = "many"
        self.modality = modality
        features = scenes.features(self.name, split)[modality]
        told = [
            (scene.captions.seen if modality is Modality.VIDEO else scene.captions.heard, own)
            for scene, own in zip(scenes.select(self.name, split), features, strict=True)
        ]
        self._clips = [(sentences, own) for sentences, own in told if sentences]

    def __len__(self) -> int:
        return len(self._clips)

    def features(self, index: int) -> Tensor:
        """Return ``[T, *F]`` float32."""
        return self._clips[index][1]

    def captions(self, index: int) -> tuple[str, ...]:
        """Return the sentences that say what happens in this modality."""
        return self._clips[index][0]


class Scenes:
    """A folder of composed scenes. Features are read once, when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about: ScenesAbout = read_about(folder)
        self.scenes = read_manifest(folder)
        self._read = cache(lambda name, split: read_features(folder, name, split))

    def select(self, name: str, split: str) -> list[Scene]:
        """Return the scenes of one set and split, in order.

        Raises:
            ConfigError: There are none.
        """
        found = [scene for scene in self.scenes if (scene.set, scene.split) == (name, split)]
        if not found:
            held = sorted({f"{scene.set}/{scene.split}" for scene in self.scenes})
            raise ConfigError(
                f"{self.folder} has no scenes {name}/{split}; it has {', '.join(held)}"
            )
        return found

    def features(self, name: str, split: str) -> dict[Modality, Tensor]:
        """Return ``[N, T, *F]`` for each modality of one set and split."""
        return {Modality(m): own for m, own in self._read(name, split).items()}

    def labelled(self, name: str, split: str) -> LabelledScenes:
        """Return the set ``name`` (single, many, cuts, sounds), labelled by the second."""
        return LabelledScenes(self, name, split)

    def captioned(self, modality: Modality, split: str = "test") -> CaptionedScenes:
        """Return the scenes of `many` with what is seen (video) or heard (audio) as sentences."""
        return CaptionedScenes(self, modality, split)

    def words(self, caption: str, split: str = "test") -> Tensor:
        """Return the features ``[words, F]`` of a caption that a scene of ``split`` has."""
        return self._read(str(Modality.TEXT), split)[caption]


def open_scenes(folder: Path) -> Scenes:
    """Open a folder that ``srcid scenes`` wrote.

    Raises:
        DataError: It is none, or damaged, or of another version.
    """
    return Scenes(folder)


class SceneClips(Dataset[Sample]):
    """``data.clips_per_epoch`` scenes to train on, drawn anew each epoch, the same for a seed.

    Of a scene, ``data.steps`` seconds from a random one on, and one of the captions of all that
    happens in it.
    """

    def __init__(self, scenes: Scenes, data: DataConfig, *, seed: int) -> None:
        self.source, self.data, self.seed, self.epoch = scenes, data, seed, 0
        self.clips = [
            (scene, {m: own[n] for m, own in scenes.features(name, "train").items()})
            for name in TRAINED_ON
            for n, scene in enumerate(scenes.select(name, "train"))
        ]

    def __len__(self) -> int:
        return self.data.clips_per_epoch

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        draw = np.random.default_rng((self.seed, self.epoch, index))
        scene, features = self.clips[int(draw.integers(len(self.clips)))]
        start = int(draw.integers(max(SECONDS - self.data.steps, 0) + 1))
        pieces = {m: own[start : start + self.data.steps] for m, own in features.items()}
        captions = scene.captions.whole
        caption = captions[int(draw.integers(len(captions)))]
        words = self.source.words(caption, "train")
        return Sample({**pieces, Modality.TEXT: words}, self._label(scene))

    def _label(self, scene: Scene) -> int:
        """Return the class of a scene with one event; -1 for other scenes."""
        if len(scene.events) > 1:
            return -1
        return self.source.about.classes.index(scene.events[0].label)


def scene_bank(scenes: Scenes, *, steps: int) -> Bank:
    """Return the scenes of one event that are kept from training, as a bank's validation split.

    They are made of photos, recordings and sentences of their own.
    """
    split = "validation"
    features = scenes.features("single", split)
    entries, found = [], {}
    for n, scene in enumerate(scenes.select("single", split)):
        caption = scene.captions.whole[0]
        own = {m: tensor[n, :steps] for m, tensor in features.items()}
        for m, piece in {**own, Modality.TEXT: scenes.words(caption, split)}.items():
            entry = Entry(f"{scene.name}/{m}", m, scene.events[0].label, split, caption)
            entries.append(entry)
            found[entry.id] = piece[None]
    return Bank(entries, found)
