"""Clips of things that have names: a bank's examples, imagined ones, and real clips beside them.

The classifiers of the backbones know thousands of names, a bank shows few of them. Of the others
an example is imagined (``training.data.imagined``), so that training does not forget them.
Shape letters: T steps, E size of a pooled vector, L classes, F size of a sentence's meaning.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from model.backbones.base import Backbone
from model.backbones.classifier import Classifier
from model.errors import DataError
from model.modality import Modality
from training.config import DataConfig
from training.data.bank import Bank
from training.data.extracted import ClipRow, read_piece
from training.data.imagined import imagine
from training.data.sample import Sample
from training.data.sentences import (
    TextVectors,
    class_names,
    sentences_about,
    sentences_by_class,
)

VARIANTS = 3  # imagined examples of each class of a classifier
BLEND = 0.25  # of another imagined example, at most, that one has in it
OF_TWO = 0.2  # share of the clips that show two things
SECOND = (0.3, 0.5)  # how much of such a clip is the second thing
ALIKE = 0.7  # cosine of the meanings of two names from which they stand for one thing
# A picture with a sentence, a sound with a sentence, all three.
KINDS = ((Modality.VIDEO,), (Modality.AUDIO,), (Modality.VIDEO, Modality.AUDIO))
KIND_SHARES = (0.35, 0.35, 0.3)
REAL_CLIPS = 0.13  # share of real clips, where there are any


class RealClip(NamedTuple):
    """Sound and picture that were recorded together."""

    features: dict[Modality, Tensor]  # [T, *F]
    label: str
    sentences: list[Tensor]  # [words, F]


class NamedClips(Dataset[Sample]):
    """``data.clips_per_epoch`` clips, drawn anew each epoch and the same for the same seed.

    Each has a sentence, and the meaning of what it is about.

    Args:
        bank: Labelled photos and sounds, and sentences; its train split.
        backbones: Sound and pictures by classifiers.
        text: The features of sentences.
        data: The run's.
        seed: Of all draws.
        without: Classes that are held out: neither examples of them nor sentences that name them
            are used, but for the names of the classifiers' own classes.
        clips: Real clips.

    Raises:
        DataError: The bank has no photo or no sound to train on.
    """

    def __init__(
        self,
        bank: Bank,
        backbones: Mapping[Modality, Backbone],
        text: TextVectors,
        data: DataConfig,
        *,
        seed: int,
        without: Sequence[str] = (),
        clips: Sequence[RealClip] = (),
    ) -> None:
        self.data, self.seed, self.epoch, self.clips = data, seed, 0, list(clips)
        names = class_names(backbones)
        about = sentences_by_class(bank, names, without)
        self.heads = {m: cast("Classifier", backbones[m]) for m in names}
        self.sentences = {label: [text.words(own) for own in about[label]] for label in about}
        self.meanings = {label: text.meaning(own) for label, own in about.items()}
        for label in {clip.label for clip in self.clips} - self.meanings.keys():
            own = [s for m in names for s in sentences_about(label, m)]
            self.meanings[label] = text.meaning(own)
        self.mean = torch.stack(list(self.meanings.values())).mean(0)  # [F]
        self.real = {m: _by_class(bank, m, about) for m in names}
        draw = torch.Generator().manual_seed(seed)
        self.imagined = {m: self._imagined(m, names[m], draw) for m in names}
        self.labels = {m: (sorted(self.real[m]), sorted(self.imagined[m])) for m in names}
        self.pairs = self._pairs()

    def __len__(self) -> int:
        return self.data.clips_per_epoch

    def __getitem__(self, index: int) -> Sample:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Return some clips at once: classifiers take much longer for them one by one."""
        if not all(0 <= index < len(self) for index in indices):
            raise IndexError(indices)
        things = [self._drawn(np.random.default_rng((self.seed, self.epoch, i))) for i in indices]
        for m, head in self.heads.items():
            waiting = [thing for thing in things if m in thing.pooled]
            if not waiting:
                continue
            with torch.no_grad():
                found = head.classified(torch.cat([thing.pooled[m] for thing in waiting]))
            parts = found.split([len(thing.pooled[m]) for thing in waiting])
            for thing, own in zip(waiting, parts, strict=True):
                thing.features[m] = own
        meanings = F.normalize(torch.stack([thing.meaning for thing in things]), dim=-1)
        meanings = F.normalize(meanings - self.mean, dim=-1)
        return [
            Sample(
                {m: own[: self.data.steps] for m, own in thing.features.items()}
                | {Modality.TEXT: thing.sentence},
                -1,
                meaning,
            )
            for thing, meaning in zip(things, meanings, strict=True)
        ]

    def _drawn(self, draw: np.random.Generator) -> "_Thing":
        if self.clips and draw.random() < REAL_CLIPS:
            thing = self._of_clip(draw)
        else:
            shown = KINDS[draw.choice(len(KINDS), p=KIND_SHARES)]
            thing = self._thing(shown, draw)
            if draw.random() < OF_TWO:
                thing = self._of_two(thing, self._thing(shown, draw), draw)
        spare = len(thing.sentence) - self.data.steps
        if spare <= 0:
            return thing
        # Some of its words, in their order.
        kept = np.sort(draw.choice(len(thing.sentence), self.data.steps, replace=False))
        return thing._replace(sentence=thing.sentence[torch.from_numpy(kept)])

    def _thing(self, shown: tuple[Modality, ...], draw: np.random.Generator) -> "_Thing":
        """Return one thing, seen or heard or both, and a sentence about it."""
        is_real = draw.random() >= self.data.imagined
        if len(shown) > 1:
            pairs = self.pairs[0 if is_real else 1]
            labels = dict(zip(shown, pairs[draw.integers(len(pairs))], strict=True))
        else:
            known = self.labels[shown[0]][0 if is_real else 1]
            labels = {shown[0]: known[draw.integers(len(known))]}
        thing = _Thing({}, {}, self.mean, self.mean)  # the last two are filled in below
        for m, label in labels.items():
            own = self.real[m] if is_real else self.imagined[m]
            example = own[label][draw.integers(len(own[label]))]
            if is_real:
                thing.features[m] = example
            else:
                others = self.imagined[m]
                other = others[self.labels[m][1][draw.integers(len(self.labels[m][1]))]]
                share = BLEND * draw.random()
                blended = (1 - share) * example + share * other[draw.integers(len(other))]
                thing.pooled[m] = blended[None]
        sentences = self.sentences[list(labels.values())[draw.integers(len(labels))]]
        none = torch.zeros_like(self.mean)
        meaning = sum((self.meanings[label] for label in labels.values()), none) / len(labels)
        return thing._replace(sentence=sentences[draw.integers(len(sentences))], meaning=meaning)

    def _of_two(self, first: "_Thing", second: "_Thing", draw: np.random.Generator) -> "_Thing":
        """Return what shows and says two things at once."""
        share = float(draw.uniform(*SECOND))
        pooled = {}
        for m in first.pooled.keys() | first.features.keys():
            one, other = self._pooled(m, first), self._pooled(m, second)
            steps = max(len(one), len(other))
            at = torch.arange(steps)
            pooled[m] = (1 - share) * one[at % len(one)] + share * other[at % len(other)]
        return _Thing(
            {},
            pooled,
            torch.cat([first.sentence, second.sentence]),
            (1 - share) * first.meaning + share * second.meaning,
        )

    def _pooled(self, modality: Modality, thing: "_Thing") -> Tensor:
        """Return ``[T, E]``."""
        if modality in thing.pooled:
            return thing.pooled[modality]
        return thing.features[modality][:, : self.heads[modality].head.in_features]

    def _of_clip(self, draw: np.random.Generator) -> "_Thing":
        """Return a stretch of a real clip, of a random length."""
        clip = self.clips[draw.integers(len(self.clips))]
        steps = max(len(own) for own in clip.features.values())
        start, stop = sorted(draw.integers(0, steps + 1, 2))
        if stop - start < 2:
            start, stop = 0, steps
        features = {m: own[start:stop] for m, own in clip.features.items() if len(own) > start}
        sentence = clip.sentences[draw.integers(len(clip.sentences))]
        return _Thing(features, {}, sentence, self.meanings[clip.label])

    def _imagined(
        self, modality: Modality, names: Sequence[str], draw: torch.Generator
    ) -> dict[str, list[Tensor]]:
        """Return pooled vectors ``[E]`` of each class of a classifier, held-out ones left out."""
        head = self.heads[modality].head
        real = torch.cat([own for of_class in self.real[modality].values() for own in of_class])
        pooled = real[:, : head.in_features]
        rounds = [imagine(head, pooled, generator=draw) for _ in range(VARIANTS)]
        return {
            name: [own[row] for own in rounds]
            for row, name in enumerate(names)
            if name in self.sentences
        }

    def _pairs(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Return the classes that are both seen and heard: of real examples, of imagined ones."""
        seen, heard = self.labels[Modality.VIDEO], self.labels[Modality.AUDIO]
        real = [(label, label) for label in seen[0] if label in heard[0]]
        meanings = [
            torch.stack([self.meanings[label] for label in own[1]]) for own in (seen, heard)
        ]
        rows = (meanings[0] @ meanings[1].T > ALIKE).nonzero().tolist()
        imagined = [(seen[1][i], heard[1][j]) for i, j in rows]
        return real or imagined, imagined


class _Thing(NamedTuple):
    """What a clip shows and says, before it is made a sample."""

    features: dict[Modality, Tensor]  # [T, E + L] of a real example
    pooled: dict[Modality, Tensor]  # [T, E] of which the beliefs are still to be had
    sentence: Tensor  # [words, F]
    meaning: Tensor  # [F]


def real_clips(folder: Path, rows: Sequence[ClipRow], text: TextVectors) -> list[RealClip]:
    """Return the labelled clips of what ``srcid extract`` wrote, with sentences about each."""
    clips = []
    for row in rows:
        if not row.label:
            continue
        features = read_piece(folder, row, start=0, stop=row.steps, caption=None)
        sentences = [
            text.words(own)
            for m in (Modality.VIDEO, Modality.AUDIO)
            for own in sentences_about(row.label, m)
        ]
        sentences += [
            read_piece(folder, row, start=0, stop=0, caption=n)[Modality.TEXT]
            for n in range(row.captions)
        ]
        clips.append(RealClip(features, row.label, sentences))
    return clips


def _by_class(
    bank: Bank, modality: Modality, about: Mapping[str, Sequence[str]]
) -> dict[str, list[Tensor]]:
    """Return the examples ``[T, E + L]`` of each class that has a sentence."""
    found: dict[str, list[Tensor]] = defaultdict(list)
    for entry in bank.select(modality, "train"):
        if entry.label in about:
            own = bank.features[entry.id][0]
            # The steps of a picture are all the same.
            found[entry.label].append(own[:1] if modality is Modality.VIDEO else own)
    if not found:
        raise DataError(f"the bank has no labelled {modality} to train on: add some")
    return dict(found)
