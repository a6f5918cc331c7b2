"""Open vocabulary: `default`'s way beside what anyone builds in an hour from the same packages.

    OMP_NUM_THREADS=1 python -m benchmarks.label_bridge --data DIR --out benchmarks/results/...

The bridge: a picture's five likeliest classes of ImageNet and a sound's of AudioSet, each as the
mean of their names' sentence vectors, weighted by probability, compared by cosine with the vector
of the sentence and with one another: 384 floats. Ours: `align` on the other classes, 18 bits a
second of sound and 23 bytes a picture. Classes are held out in five folds, with what is nearly
the same (RELATED) and with all sentences that name them, so that each is unseen once (the names
of the classifiers' own classes stay, since the bridge is made of them); of the classes that stay,
every fourth item of a training bank and the test items of others are tested on.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Annotated, NamedTuple, cast

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch.nn import functional as F

from benchmarks.label_bridge_table import DIRECTIONS, SPOKEN, Figures, Found, OneList, report
from benchmarks.said import SAID
from benchmarks.unseen_classes import FOLDS, held_out, split
from model.backbones.base import Backbone
from model.backbones.classifier import Classifier
from model.encoder import load_backbones
from model.modality import Modality
from model.srcid import SRCID
from training.alignment.align import align
from training.data.bank import Bank, Entry, load_bank
from training.data.sentences import TextVectors
from training.evaluation.codebook import agreement, histogram
from training.evaluation.ranks import rank_figures
from training.evaluation.retrieval import class_map, cosines
from training.networks import aligned_network

# Other words than those of training: what is asked here was not trained on.
ASKED = {
    Modality.VIDEO: ("an image of a {}", "a {} is shown here", "{}, seen from nearby", "one {}"),
    Modality.AUDIO: ("the noise of a {}", "a {} is heard", "{}, heard from nearby", "one {}"),
}
Vectors = NDArray[np.float32]
Represent = Callable[[Modality, Sequence[torch.Tensor]], Vectors]  # items' features to [N, D]


class Way(NamedTuple):
    """One way to compare: how a query and how an item is represented."""

    query: Represent
    item: Represent


def main(
    data: Annotated[Path, typer.Option(help="A folder of banks.")],
    cache: Annotated[Path, typer.Option(help="Where features are kept.")] = Path("runs/features"),
    folds: Annotated[int, typer.Option(min=1, max=FOLDS, help="How many of the five.")] = FOLDS,
    seeds: Annotated[int, typer.Option(min=1, help="How often each fold is aligned.")] = 1,
    codes: Annotated[int, typer.Option(help="Of each of the two codebooks.")] = 400,
    out: Annotated[Path | None, typer.Option(help="Also write the report here.")] = None,
) -> None:
    """Align without each fold's classes, and print the figures of seen and unseen ones."""
    torch.set_num_threads(1)
    config = aligned_network(codebook_size=codes)
    bank = load_bank(data, config, views=1, cache=cache)
    backbones = load_backbones(config, "cpu")
    text = TextVectors(backbones[Modality.TEXT])
    found = Found({}, {}, {})
    for seed, (fold, unseen) in product(range(seeds), enumerate(held_out(bank)[:folds])):
        training, tested = split(bank, unseen)
        model = align(
            training,
            backbones,
            text=text,
            config=config,
            seed=FOLDS * seed + fold,
            without=sorted(unseen),
        )
        for name, way in ways(model, backbones, text).items():
            for kind, entries in tested.items():
                for direction, own in evaluate(way, bank, entries, text).items():
                    found.figures.setdefault((kind, name, direction), []).append(own)
                found.lists.setdefault((kind, name), []).append(one_list(way, bank, entries, text))
        for kind, entries in tested.items():
            for pair, overlap in code_overlaps(model, bank, entries, text).items():
                found.overlaps.setdefault((kind, pair), []).append(overlap)
        print(f"seed {seed}, fold {fold + 1}: without {', '.join(sorted(unseen))}", flush=True)
    lines = list(report(found, seeds=seeds, codes=codes))
    print("\n".join(lines))
    if out:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def ways(model: SRCID, backbones: Mapping[Modality, Backbone], text: TextVectors) -> dict[str, Way]:
    """Return what is compared, by name."""
    names = {m: _names(backbones[m], text) for m in (Modality.VIDEO, Modality.AUDIO)}

    def bridge(m: Modality, items: Sequence[torch.Tensor]) -> Vectors:
        if m is Modality.TEXT:
            return _stack([F.normalize(words.mean(0), dim=0) for words in items])
        return _stack([_top_five(cast("Classifier", backbones[m]), own, names[m]) for own in items])

    def of_layer(row: int | None) -> Represent:
        def represent(m: Modality, items: Sequence[torch.Tensor]) -> Vectors:
            return _by_length(items, lambda batch: _pooled(model, m, batch, row))

        return represent

    def continuous(m: Modality, items: Sequence[torch.Tensor]) -> Vectors:
        return _by_length(items, lambda batch: model.quantize({m: batch})[0].general[m].mean(1))

    def first_step(m: Modality, items: Sequence[torch.Tensor]) -> Vectors:
        return codes(m, [own[:1] for own in items] if m is Modality.VIDEO else items)

    codes = of_layer(None)
    return {
        "bridge": Way(bridge, bridge),
        "ours": Way(continuous, codes),
        "ours, the first step of a picture": Way(continuous, first_step),
        "ours, first codes only": Way(continuous, of_layer(0)),
        "ours, query quantized too": Way(codes, codes),
        "ours, nothing quantized": Way(continuous, continuous),
    }


@torch.inference_mode()
def evaluate(
    way: Way, bank: Bank, entries: Sequence[Entry], text: TextVectors
) -> dict[str, Figures]:
    """Return the figures of each direction on some items."""
    items, queries, labels = {}, {}, {}
    for m in (Modality.VIDEO, Modality.AUDIO):
        own = [entry for entry in entries if entry.modality is m]
        features = [bank.features[entry.id][0] for entry in own]
        items[m], queries[m] = way.item(m, features), way.query(m, features)
        labels[m] = np.array([entry.label for entry in own])
    found = {}
    for m, name, spoken in zip(labels, DIRECTIONS[:2], SPOKEN, strict=True):
        classes = np.unique(labels[m])
        templates = [(t.format(label), label) for label in classes for t in ASKED[m]]
        said = [(sentence, label) for label in classes for sentence in SAID[m].get(label, ())]
        for direction, asked in ((name, templates), (spoken, said)):
            vectors = way.query(Modality.TEXT, [text.words(sentence) for sentence, _ in asked])
            found[direction] = _figures(
                vectors, np.array([label for _, label in asked]), items[m], labels[m]
            )
    both = np.intersect1d(labels[Modality.VIDEO], labels[Modality.AUDIO])
    kept = {m: np.isin(own, both) for m, own in labels.items()}
    pairs = ((Modality.VIDEO, Modality.AUDIO), (Modality.AUDIO, Modality.VIDEO))
    for (m, n), name in zip(pairs, DIRECTIONS[2:], strict=True):
        found[name] = _figures(
            queries[m][kept[m]], labels[m][kept[m]], items[n][kept[n]], labels[n][kept[n]]
        )
    return found


@torch.inference_mode()
def one_list(way: Way, bank: Bank, entries: Sequence[Entry], text: TextVectors) -> OneList:
    """Return whether sentences find pictures and sounds alike, where both are searched at once."""
    labels, items = {}, {}
    for m in (Modality.VIDEO, Modality.AUDIO):
        own = [entry for entry in entries if entry.modality is m]
        labels[m] = np.array([entry.label for entry in own])
        items[m] = way.item(m, [bank.features[entry.id][0] for entry in own])
    both = np.intersect1d(labels[Modality.VIDEO], labels[Modality.AUDIO])
    asked = [(t.format(label), label) for label in both for m in ASKED for t in ASKED[m]]
    queries = way.query(Modality.TEXT, [text.words(sentence) for sentence, _ in asked])
    scores = cosines(queries, np.concatenate(list(items.values())))
    of_items = np.concatenate(list(labels.values()))
    is_picture = np.arange(len(of_items)) < len(labels[Modality.VIDEO])
    classes = np.unique(of_items)
    found = class_map(
        scores,
        np.searchsorted(classes, np.array([label for _, label in asked])),
        np.searchsorted(classes, of_items),
    )
    first = is_picture[np.argsort(-scores, 1, kind="stable")[:, :10]]
    return OneList(100 * found, 100 * float(first.mean()), 100 * float(is_picture.mean()))


@torch.inference_mode()
def code_overlaps(
    model: SRCID, bank: Bank, entries: Sequence[Entry], text: TextVectors
) -> dict[str, float]:
    """Return how far the codes of what is seen, heard and named are the same, by pair."""
    size = model.stages[0].quantizer.codebook_size
    seen_or_heard = (Modality.VIDEO, Modality.AUDIO)
    labels = {m: {e.label for e in entries if e.modality is m} for m in seen_or_heard}
    shares: dict[Modality, dict[str, NDArray[np.float64]]] = {m: {} for m in Modality}
    for label in set.intersection(*labels.values()):
        shown = {
            m: [bank.features[e.id][0] for e in entries if e.modality is m and e.label == label]
            for m in labels
        }
        named = [text.words(t.format(label)) for m in ASKED for t in ASKED[m]]
        for m, items in {**shown, Modality.TEXT: named}.items():
            codes = [model.encode({m: own[None]})[m][0] for own in items]  # [C, T] each
            rows = torch.cat(codes, 1) + torch.arange(len(codes[0]))[:, None] * size
            shares[m][label] = histogram([rows.flatten().numpy()], size * len(codes[0]))
    return {f"{m} ~ {n}": agreement(shares[m], shares[n]) for m, n in combinations(Modality, 2)}


def _figures(
    queries: Vectors, asked: NDArray[np.str_], items: Vectors, labels: NDArray[np.str_]
) -> Figures:
    scores = cosines(queries, items)
    classes = np.unique(labels)
    of_queries, of_items = (np.searchsorted(classes, own) for own in (asked, labels))
    ranks = rank_figures(scores, of_queries[:, None] == of_items[None])
    return Figures(100 * class_map(scores, of_queries, of_items), *ranks[:4])


def _names(backbone: Backbone, text: TextVectors) -> torch.Tensor:
    assert isinstance(backbone, Classifier)
    return torch.stack([text.meaning([name]) for name in backbone.class_names])


def _top_five(classifier: Classifier, features: torch.Tensor, names: torch.Tensor) -> torch.Tensor:
    """Return the bridge's vector of an item with features ``[T, E + L]``."""
    logits = classifier.head(features[:, : classifier.head.in_features])
    is_one_of = len(names) == 1000  # ImageNet's classes exclude one another, AudioSet's do not
    beliefs = (logits.softmax(-1) if is_one_of else logits.sigmoid()).mean(0)
    weights, classes = beliefs.topk(5)
    return (weights.unsqueeze(-1) * names[classes]).sum(0)


def _pooled(model: SRCID, m: Modality, batch: torch.Tensor, row: int | None) -> torch.Tensor:
    """Return ``[B, D]``, the mean over steps of what codes stand for, of all rows or of one."""
    quantizer = model.stages[0].quantizer
    codes = model.encode({m: batch})[m].transpose(0, 1)  # [Q, B, T]
    vectors = torch.stack([t[c] for t, c in zip(quantizer.tables(), codes, strict=True)])
    return (vectors.sum(0) if row is None else vectors[row]).mean(1)


def _by_length(
    items: Sequence[torch.Tensor], represent: Callable[[torch.Tensor], torch.Tensor]
) -> Vectors:
    """Return ``[N, D]`` of items ``[T, F]``, those of one length at once."""
    found: dict[int, torch.Tensor] = {}
    for length in {len(own) for own in items}:
        members = [index for index, own in enumerate(items) if len(own) == length]
        batch = torch.stack([items[index] for index in members])
        found.update(zip(members, represent(batch), strict=True))
    return _stack([found[index] for index in range(len(items))])


def _stack(vectors: Sequence[torch.Tensor]) -> Vectors:
    return torch.stack(list(vectors)).numpy()


if __name__ == "__main__":
    typer.run(main)
