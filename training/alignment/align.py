"""A checkpoint in closed form, in the space of sentences.

Every modality is mapped linearly to where sentences lie: sound and pictures by the names of the
classes that their backbones believe in, moved by what labelled examples say; words nearly as they
are. Two residual codebooks are then fitted to sounds and pictures, since these have few steps and
sentences many. docs/decisions has the reasons, docs/reproduce.md what was tried.
Shape letters: N examples, E size of a pooled vector, L classes, F text feature dim, D hidden dim.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from model.backbones.base import Backbone
from model.backbones.classifier import Classifier
from model.config import SRCIDConfig
from model.errors import DataError
from model.modality import Modality
from model.network.general import GeneralEncoder
from model.quantizers.rvq import ResidualQuantizer
from model.srcid import SRCID
from training.alignment.codebooks import fit_codebooks
from training.alignment.ridge import LinearMap, ridge
from training.data.bank import Bank
from training.data.imagined import imagine, mixed
from training.data.sentences import (
    TextVectors,
    class_names,
    sentences_about,
    sentences_by_class,
)

VARIANTS = 3  # imagined examples of each class of a classifier
EXAMPLES = 0.5  # weight of what examples say, beside that of the classes' names
PENALTY = 2.5  # on weights from pooled vectors: 1280 numbers from some thousand examples
TEXT_PENALTY = 0.01
MIXED = 3000  # vectors of two things at once, of each modality, for the codebooks
TOGETHER = 3  # steps whose codes are fitted to tell one thing: with more, one step tells less


@dataclass(frozen=True)
class Space:
    """Where everything is compared: directions in which the meanings of names differ most."""

    mean: Tensor  # [F]
    basis: Tensor  # [F, D]

    def __call__(self, meanings: Tensor) -> Tensor:
        """Return ``[..., D]`` for the meanings ``[..., F]`` of sentences."""
        return F.normalize(meanings - self.mean, dim=-1) @ self.basis


@dataclass(frozen=True)
class Examples:
    """What of one modality a bank shows."""

    features: Tensor  # [N, E + L] one row per step
    labels: list[str]  # [N] the class of each


def align(
    bank: Bank,
    backbones: Mapping[Modality, Backbone],
    *,
    text: TextVectors,
    config: SRCIDConfig,
    seed: int = 0,
    without: Sequence[str] = (),
) -> SRCID:
    """Return a network whose codes say what things are called.

    Args:
        bank: Labelled photos and sounds, and sentences; those of its split ``train`` are used.
        backbones: Those of ``config``; sound and pictures by classifiers.
        text: The sentences' features.
        config: ``training.networks.aligned_network``.
        seed: Of the weights that stay random (decoders), and of all draws.
        without: Classes that are held out: neither examples of them nor sentences that name
            them are looked at, but for the names of the classifiers' own classes.

    Raises:
        DataError: The bank has no sounds or no photos to train on.
    """
    draw = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = SRCID(config).eval().requires_grad_(False)
    names = class_names(backbones)
    space = _space([text.meaning(sentences_about(n, m)) for m in names for n in names[m]], config)
    about = sentences_by_class(bank, names, without)  # by class
    meanings = {label: space(text.meaning(own)) for label, own in about.items()}
    general, shown = {}, []
    for m in names:
        head = cast("Classifier", backbones[m])
        examples = _examples(bank, m, meanings)
        invented = _invented(head, examples, names[m], meanings, generator=draw)
        of_two = _of_two(head, examples, invented, generator=draw)
        beliefs = space(torch.stack([text.meaning(sentences_about(name, m)) for name in names[m]]))
        own = _from_classifier(examples, invented, beliefs, meanings)
        # What all sounds share says nothing of one of them, and sets them apart from pictures.
        over = torch.cat([examples.features, of_two])
        general[m] = own.centred(over=over)
        if m is Modality.AUDIO:  # sounds differ most in one direction, and sentences hardly there
            general[m] = general[m].evened(over=over)
        shown += [general[m](x) for x in (examples.features, of_two)]
        if m is Modality.AUDIO:  # real sounds are few and of few kinds
            shown.append(general[m](invented.features))
    general[Modality.TEXT] = _from_words(about, meanings, text, space)
    fill(model, general, torch.cat(shown), generator=draw)
    return model


def fill(
    model: SRCID,
    general: Mapping[Modality, LinearMap],
    shown: Tensor,
    *,
    generator: torch.Generator,
) -> None:
    """Make the general encoders compute ``general``, and fit the codebooks.

    Args:
        model: Of one layer with a residual quantizer.
        general: The map of each modality, ``[F, D]``.
        shown: What the codes are to tell apart, ``[N, D]``: outputs of these maps.
        generator: Draws the first centres.

    Raises:
        DataError: There are fewer vectors than codes.
    """
    length = shown.shape[1] ** 0.5  # what LayerNorm makes of every vector
    for m, own in general.items():
        _set(cast("GeneralEncoder", model.stages[0].general[m]), own.scaled(length))
    vectors = F.normalize(shown, dim=-1) * length
    quantizer = cast("ResidualQuantizer", model.stages[0].quantizer)
    fit_codebooks(quantizer, vectors, steps=TOGETHER, generator=generator)


def _invented(
    head: Classifier,
    examples: Examples,
    names: Sequence[str],
    meanings: Mapping[str, Tensor],
    *,
    generator: torch.Generator,
) -> Examples:
    """Return imagined examples of the classes that have a meaning."""
    pooled = examples.features[:, : head.head.in_features]
    kept = [row for row, name in enumerate(names) if name in meanings]
    imagined = [imagine(head.head, pooled, generator=generator)[kept] for _ in range(VARIANTS)]
    labels = [names[row] for row in kept] * VARIANTS
    return Examples(head.classified(torch.cat(imagined)), labels)


def _of_two(
    head: Classifier, examples: Examples, invented: Examples, *, generator: torch.Generator
) -> Tensor:
    """Return features ``[MIXED, E + L]`` of examples with something of another, or of a class."""
    size = head.head.in_features
    pooled, imagined = examples.features[:, :size], invented.features[:, :size]
    partners = torch.cat([pooled, imagined])
    return head.classified(mixed(pooled, partners, MIXED, generator=generator))


def _from_classifier(
    examples: Examples, invented: Examples, beliefs: Tensor, meanings: Mapping[str, Tensor]
) -> LinearMap:
    """Return the map of features ``[E + L]``: the names believed in, moved by the examples.

    The part that examples teach is fitted to imagined ones of every class as well, without
    which it would take everything for one of the few classes that the bank shows.
    """
    size = examples.features.shape[1] - len(beliefs)
    believed = LinearMap(beliefs - beliefs.mean(0), torch.zeros(beliefs.shape[1]))
    believed = believed.to_length(1, over=examples.features[:, size:])
    labels = examples.labels + invented.labels
    pooled = torch.cat([examples.features, invented.features])[:, :size]
    taught = ridge(pooled, torch.stack([meanings[label] for label in labels]), penalty=PENALTY)
    taught = taught.to_length(EXAMPLES, over=examples.features[:, :size])
    return LinearMap(torch.cat([taught.weight, believed.weight]), taught.bias)


def _from_words(
    about: Mapping[str, Sequence[str]],
    meanings: Mapping[str, Tensor],
    text: TextVectors,
    space: Space,
) -> LinearMap:
    """Return the map of a word: half itself, half what its sentence is about."""
    said = [(text.words(s), meanings[label]) for label, own in about.items() for s in own]
    x = torch.cat([own for own, _ in said])
    itself = LinearMap(space.basis, -x.mean(0) @ space.basis).to_length(1, over=x)
    sentences = torch.stack([own.mean(0) for own, _ in said])
    topic = ridge(sentences, torch.stack([y for _, y in said]), penalty=TEXT_PENALTY)
    topic = topic.to_length(1, over=x)
    return LinearMap(itself.weight + topic.weight, itself.bias + topic.bias)


def _space(meanings: Sequence[Tensor], config: SRCIDConfig) -> Space:
    every = torch.stack(list(meanings))
    mean = every.mean(0)
    _, _, directions = torch.linalg.svd(F.normalize(every - mean, dim=-1), full_matrices=False)
    return Space(mean, directions[: config.dim].T)


def _examples(bank: Bank, modality: Modality, meanings: Mapping[str, Tensor]) -> Examples:
    """Return the bank's examples of classes that have a meaning, that is, a sentence."""
    chosen = [entry for entry in bank.select(modality, "train") if entry.label in meanings]
    if not chosen:
        raise DataError(f"the bank has no labelled {modality} to align with: add some")
    rows = [bank.features[entry.id][0] for entry in chosen]
    if modality is Modality.VIDEO:  # the steps of a picture are all the same
        rows = [own[:1] for own in rows]
    labels = [entry.label for entry, own in zip(chosen, rows, strict=True) for _ in own]
    return Examples(torch.cat(rows), labels)


def _set(encoder: GeneralEncoder, own: LinearMap) -> None:
    """Make ``encoder`` compute ``own``, brought to one length: its blocks add nothing yet."""
    encoder.project.weight.copy_(own.weight.T)
    encoder.project.bias.copy_(own.bias)
    encoder.add_nothing()
