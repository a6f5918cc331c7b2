"""Sentences about classes, and their vectors.

Shape letters: W words of a sentence, F text feature dim.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from model.backbones.base import Backbone
from model.backbones.classifier import Classifier
from model.modality import Modality
from training.data.bank import Bank

# What people say of a thing that they see, and of one that they hear.
TEMPLATES = {
    Modality.VIDEO: (
        "a photo of {}",
        "a picture of {}",
        "this is {}",
        "{}",
        "there is {}",
        "you can see {}",
        "a close view of {}",
        "{} in the picture",
        "look at {}",
    ),
    Modality.AUDIO: (
        "the sound of {}",
        "{} can be heard",
        "we hear {}",
        "{}",
        "listen to {}",
        "{} sounds",
        "a recording of {}",
    ),
}


class TextVectors:
    """The features of sentences, each computed once.

    Args:
        backbone: Of text.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._known: dict[str, Tensor] = {}

    def words(self, sentence: str) -> Tensor:
        """Return ``[W, F]``."""
        if sentence not in self._known:
            prepared = self._backbone.preprocess(sentence)
            self._known[sentence] = self._backbone.extract([prepared])[0]
        return self._known[sentence]

    def meaning(self, sentences: Iterable[str]) -> Tensor:
        """Return ``[F]`` of length 1: the mean of what the sentences say."""
        each = [F.normalize(self.words(sentence).mean(0), dim=0) for sentence in sentences]
        return F.normalize(torch.stack(each).mean(0), dim=0)


def sentences_about(name: str, modality: Modality) -> list[str]:
    """Return sentences about a class by its name: "a photo of a dog"."""
    noun = name.lower()
    article = "an" if noun[0] in "aeiou" else "a"
    return [template.format(f"{article} {noun}") for template in TEMPLATES[modality]]


def mentions(sentence: str, names: Sequence[str]) -> bool:
    """Return whether a sentence has one of ``names`` among its words."""
    padded = f" {sentence.lower()} "
    return any(f" {name.lower()} " in padded for name in names)


def class_names(backbones: Mapping[Modality, Backbone]) -> dict[Modality, list[str]]:
    """Return the classes that backbones with a classifier know."""
    return {m: own.class_names for m, own in backbones.items() if isinstance(own, Classifier)}


def sentences_by_class(
    bank: Bank, names: Mapping[Modality, Sequence[str]], without: Sequence[str]
) -> dict[str, list[str]]:
    """Return sentences about every class of the classifiers and of the bank's train split.

    Args:
        bank: Labelled photos and sounds, and sentences.
        names: The classes of the classifiers.
        without: Classes that are held out: no sentence names them.
    """
    about: dict[str, list[str]] = {}
    for m, classes in names.items():
        for name in classes:
            about.setdefault(name, []).extend(sentences_about(name, m))
    for entry in bank.entries:
        if entry.split != "train":
            continue
        if entry.modality is Modality.TEXT:
            about.setdefault(entry.label, []).append(entry.text)
        else:
            own = sentences_about(entry.label, entry.modality)
            if own[0] not in about.setdefault(entry.label, []):
                about[entry.label].extend(own)
    allowed = {
        label: [s for s in own if not mentions(s, without)]
        for label, own in about.items()
        if label not in without
    }
    return {label: own for label, own in allowed.items() if own}
