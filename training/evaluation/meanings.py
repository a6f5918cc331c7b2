"""What each code means: the classes in whose seconds it stands, its best seconds and words.

Shape letters: T steps, D hidden dim, C = sum of Q over the layers: code rows.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from model.encoder import load_backbone
from model.files import atomic_path
from model.modality import Modality
from model.srcid import SRCID
from training.evaluation.encoding import Encoded, decode, encode_features
from training.evaluation.tasks import EvaluationData, Side

BEST = 5  # seconds and words that are named
COLUMNS = ("layer", "stage", "code", "audio", "video", "text", "classes", "seconds", "words")


class Code(NamedTuple):
    """One code of a checkpoint; all count from 0 but the layer."""

    layer: int
    stage: int  # of a residual quantizer
    code: int


class Place(NamedTuple):
    """A step that chose a code."""

    distance: float  # of its general vector to the vector of the layer's codes
    name: str  # such as "many/test 12, second 3", or a word in quotes


@dataclass
class Meaning:
    """What chose a code on the test clips of a benchmark."""

    steps: Counter[Modality] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)  # of seconds; two at once count twice
    seconds: list[Place] = field(default_factory=list)
    words: dict[str, Place] = field(default_factory=dict)  # by the word, its best place


def meanings(model: SRCID, data: EvaluationData) -> dict[Code, Meaning]:
    """Return what each code in use means, in the order of the codes."""
    found: dict[Code, Meaning] = defaultdict(Meaning)
    for side in dict.fromkeys(task.test for task in data.suite.tasks):
        _add_seconds(found, model, data, side)
    if Modality.TEXT in model.modalities:
        _add_words(found, model, data)
    return dict(sorted(found.items()))


def write_meanings(found: Mapping[Code, Meaning], path: Path) -> None:
    """Write one line per code as CSV."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for code, own in found.items():
            total = own.classes.total()
            classes = [f"{name} {n / total:.0%}" for name, n in own.classes.most_common(3)]
            counts = [own.steps[Modality(name)] for name in ("audio", "video", "text")]
            seconds = [place.name for place in sorted(own.seconds)[:BEST]]
            words = [place.name for place in sorted(own.words.values())[:BEST]]
            lists = ("; ".join(names) for names in (classes, seconds, words))
            writer.writerow([*code, *counts, *lists])


def _add_seconds(
    found: dict[Code, Meaning], model: SRCID, data: EvaluationData, side: Side
) -> None:
    clips = data.labelled(side)
    features = (clips.features(n, side.modality) for n in range(len(clips)))
    for n, encoded in enumerate(encode_features(model, side.modality, features)):
        labels = clips.labels(n, side.modality)
        for step, code, distance in _chosen(model, encoded):
            own = found[code]
            classes = [clips.classes[c] for c in labels[step].nonzero().flatten().tolist()]
            own.steps[side.modality] += 1
            own.classes.update(classes or ["background"])
            name = f"{side.data}/{side.split} {side.modality} {n}, second {step}"
            own.seconds.append(Place(distance, f"{name} ({', '.join(classes) or 'background'})"))


def _add_words(found: dict[Code, Meaning], model: SRCID, data: EvaluationData) -> None:
    backbone = load_backbone(model.config, Modality.TEXT)
    sentences = list(
        dict.fromkeys(
            sentence
            for clips in map(data.captioned, data.suite.retrieval)
            for n in range(len(clips))
            for sentence in clips.captions(n)
        )
    )
    encoded = encode_features(model, Modality.TEXT, data.words(sentences))
    for sentence, own in zip(sentences, encoded, strict=True):
        words = backbone.words(sentence)
        for step, code, distance in _chosen(model, own):
            meaning, place = found[code], Place(distance, words[step])
            meaning.steps[Modality.TEXT] += 1
            meaning.words[words[step]] = min(meaning.words.get(words[step], place), place)


def _chosen(model: SRCID, encoded: Encoded) -> Iterator[tuple[int, Code, float]]:
    """Yield each step, the codes that it chose, and how far it lies from them."""
    rows = iter(encoded.codes.tolist())  # of T codes, C times
    for depth, stage in enumerate(model.stages):
        table, index = decode(model, encoded.codes, (depth,))
        distances = (encoded.general[depth] - table[index]).norm(dim=-1).tolist()  # [T]
        for number in range(stage.quantizer.num_codebooks):
            for step, (code, distance) in enumerate(zip(next(rows), distances, strict=True)):
                yield step, Code(depth + 1, number, code), distance
