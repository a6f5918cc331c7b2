"""How well a checkpoint finds things of any name, and whether its modalities share their codes.

As the service compares: queries as the checkpoint's ``queries`` says, items by their codes.
Shape letters: N items, L codebook size, D hidden dim.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.said import SAID
from model.encoder import Encoder, side_by_side
from model.modality import Modality
from model.srcid import SRCID
from training.data.bank import Bank, Entry
from training.data.named import RealClip
from training.data.sentences import TextVectors
from training.evaluation.codebook import agreement, histogram
from training.evaluation.ranks import rank_figures
from training.evaluation.retrieval import class_map, cosines

AUDIO, VIDEO, TEXT = Modality.AUDIO, Modality.VIDEO, Modality.TEXT
DIRECTIONS = ((TEXT, VIDEO), (TEXT, AUDIO), (VIDEO, AUDIO), (AUDIO, VIDEO))
# Other words than those of training: what is asked here was not trained on.
ASKED = {
    VIDEO: ("an image of a {}", "a {} is shown here", "{}, seen from nearby", "one {}"),
    AUDIO: ("the noise of a {}", "a {} is heard", "{}, heard from nearby", "one {}"),
}
Figures = dict[str, float]
BATCH = 64  # items that go through the network at once


class Side(NamedTuple):
    """Items of one modality, encoded one by one as the service does."""

    labels: NDArray[np.str_]  # [N]
    queries: dict[str, NDArray[np.float32]]  # by layers ("1", "2", "both"): [N, D'] as a query
    items: dict[str, NDArray[np.float32]]  # the same of what is kept: codes
    shares: NDArray[np.float64]  # [N, L] how often each of layer 1's first codes stands in it


def encode(
    model: SRCID, modality: Modality, features: Sequence[torch.Tensor], labels: Sequence[str]
) -> Side:
    """Encode ``features`` ``[T, *F]`` each."""
    encoder = Encoder(model, {}, fingerprint="")
    pairs = [(modality, own) for own in features]
    found = [
        one for n in range(0, len(pairs), BATCH) for one in encoder.quantize(pairs[n : n + BATCH])
    ]
    layers = sorted(set(encoder.vocabulary.layers.tolist()))
    choices = {str(layer): [layer] for layer in layers} | {"both": layers}
    size = encoder.vocabulary.tables.shape[1]
    return Side(
        np.array(labels),
        {
            name: np.stack([side_by_side(own.query, chosen) for own in found])
            for name, chosen in choices.items()
        },
        {
            name: np.stack([encoder.vocabulary.pooled(own.codes, chosen) for own in found])
            for name, chosen in choices.items()
        },
        np.stack([histogram([own.codes[0]], size) for own in found]),
    )


class Asked(NamedTuple):
    """What is searched, and the sentences that are asked of each side of it."""

    sides: dict[Modality, Side]  # sounds and pictures
    sentences: dict[Modality, Side]  # by what they are asked of: templates
    said: dict[Modality, Side]  # the same as people would


@torch.inference_mode()
def of_bank(model: SRCID, bank: Bank, entries: Sequence[Entry], text: TextVectors) -> Asked:
    """Encode some entries of a bank, and sentences about their classes."""
    sides, sentences, said = {}, {}, {}
    for m in (VIDEO, AUDIO):
        own = [entry for entry in entries if entry.modality is m]
        labels = [entry.label for entry in own]
        sides[m] = encode(model, m, [bank.features[entry.id][0] for entry in own], labels)
        asked = [(t.format(label), label) for label in sorted(set(labels)) for t in ASKED[m]]
        spoken = [(s, label) for label in sorted(set(labels)) for s in SAID[m].get(label, ())]
        sentences[m], said[m] = (
            encode(model, TEXT, [text.words(s) for s, _ in pairs], [label for _, label in pairs])
            for pairs in (asked, spoken)
        )
    return Asked(sides, sentences, said)


@torch.inference_mode()
def of_clips(model: SRCID, clips: Sequence[RealClip], text: TextVectors) -> Asked:
    """Encode real clips, and their labels as sentences."""
    labels = [clip.label for clip in clips]
    sides = {m: encode(model, m, [clip.features[m] for clip in clips], labels) for m in ASKED}
    named = encode(model, TEXT, [text.words(label) for label in labels], labels)
    return Asked(sides, dict.fromkeys(ASKED, named), {})


def mean_precision(asked: Asked, layers: str) -> Figures:
    """Return class mAP in percent by direction, and ``mean``: by ``layers``, or by ``index``.

    ``index`` compares only which codes of layer 1 occur, and how often.
    """
    figures = {}
    for query, item in DIRECTIONS:
        right = asked.sides[item]
        left = asked.sentences[item] if query is TEXT else asked.sides[query]
        if query is not TEXT:  # of the classes that are both seen and heard
            both = np.intersect1d(left.labels, right.labels)
            left, right = (_chosen(own, np.isin(own.labels, both)) for own in (left, right))
        figures[f"{query} > {item}"] = _precision(left, right, layers)
    return figures | {"mean": float(np.mean(list(figures.values())))}


def said_precision(asked: Asked, layers: str) -> Figures:
    """Return the same for sentences as people say them."""
    return {f"said > {m}": _precision(own, asked.sides[m], layers) for m, own in asked.said.items()}


def same_clip(asked: Asked, layers: str) -> Figures:
    """Return how often, in percent, a clip's sound finds its own picture first, and back."""
    found = {}
    for query, item in ((AUDIO, VIDEO), (VIDEO, AUDIO)):
        left, right = asked.sides[query], asked.sides[item]
        ranks = rank_figures(_scores(left, right, layers), np.eye(len(left.labels), dtype=bool))
        found[f"{query} > {item}"] = ranks.recall_at_1
    return found


def sharing(asked: Asked) -> Figures:
    """Return how far the first codes of a class seen, heard and named are the same, by pair."""
    shares: dict[Modality, dict[str, NDArray[np.float64]]] = {m: {} for m in Modality}
    both = sorted(set(asked.sides[VIDEO].labels) & set(asked.sides[AUDIO].labels))
    for label in both:
        for m, own in asked.sides.items():
            shares[m][label] = own.shares[own.labels == label].mean(0)
        named = [own.shares[own.labels == label] for own in asked.sentences.values()]
        shares[TEXT][label] = np.concatenate(named).mean(0)
    return {f"{m} ~ {n}": agreement(shares[m], shares[n]) for m, n in combinations(Modality, 2)}


def _precision(left: Side, right: Side, layers: str) -> float:
    """Return class mAP in percent of queries whose classes ``right`` has."""
    classes = np.unique(right.labels)
    of_left, of_right = (np.searchsorted(classes, own.labels) for own in (left, right))
    return 100 * class_map(_scores(left, right, layers), of_left, of_right)


def _chosen(side: Side, rows: NDArray[np.bool_]) -> Side:
    return Side(
        side.labels[rows],
        {name: own[rows] for name, own in side.queries.items()},
        {name: own[rows] for name, own in side.items.items()},
        side.shares[rows],
    )


def _scores(left: Side, right: Side, layers: str) -> NDArray[np.float64]:
    if layers == "index":
        return np.stack([np.minimum(own, right.shares).sum(1) for own in left.shares])
    if layers == "continuous":
        return cosines(left.queries["1"], right.queries["1"])
    return cosines(left.queries[layers], right.items[layers])
