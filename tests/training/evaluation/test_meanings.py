"""What codes mean, counted by loops."""

import csv
from collections import Counter
from pathlib import Path

import pytest
import torch

from model.modality import Modality
from model.srcid import SRCID
from tests.training.evaluation.benchmark_maker import MadeUpBenchmark, MadeUpCaptions, MadeUpClips
from training.evaluation.meanings import Code, Meaning, Place, meanings, write_meanings
from training.evaluation.pictures import write_codebooks
from training.evaluation.vocabulary import vocabularies

AUDIO, VIDEO, TEXT = Modality.AUDIO, Modality.VIDEO, Modality.TEXT


@torch.no_grad()
def test_classes_and_best_seconds_are_those_of_the_steps_that_chose_a_code(coded: SRCID) -> None:
    found = meanings(coded, MadeUpBenchmark())
    classes: dict[Code, Counter[str]] = {}
    nearest: dict[Code, tuple[float, str]] = {}
    for data in ("one", "several"):
        clips = MadeUpClips(data, "test")
        for m in (VIDEO, AUDIO):
            for n in range(len(clips)):
                layers = coded({m: clips.features(n, m)[None]}).layers
                for depth, layer in enumerate(layers, start=1):
                    for step in range(4):
                        code = Code(depth, 0, int(layer.codes[m][0, 0, step]))
                        own = [clips.classes[c] for c in range(3) if clips.labels(n, m)[step, c]]
                        classes.setdefault(code, Counter()).update(own or ["background"])
                        gap = layer.general[m][0, step] - layer.quantized[m][0, step]
                        place = (float(gap.norm()), f"{data}/test {m} {n}, second {step} ")
                        nearest[code] = min(nearest.get(code, place), place)
    assert {code: own.classes for code, own in found.items() if own.classes} == classes
    for code, (distance, name) in nearest.items():
        best = min(found[code].seconds)
        assert best.distance == pytest.approx(distance, abs=1e-4)
        assert best.name.startswith(name)


def test_each_word_of_each_sentence_chose_a_code_in_each_layer(coded: SRCID) -> None:
    clips = MadeUpCaptions()
    sentences = {own for n in range(len(clips)) for own in clips.captions(n)}
    words = [word for own in sentences for word in own.split()]
    found = meanings(coded, MadeUpBenchmark())
    for layer in (1, 2):
        own = [meaning for code, meaning in found.items() if code.layer == layer]
        assert sum(meaning.steps[TEXT] for meaning in own) == len(words)
        assert {word for meaning in own for word in meaning.words} == set(words)


def test_the_table_has_shares_of_classes_and_the_nearest_first(tmp_path: Path) -> None:
    meaning = Meaning(
        Counter({AUDIO: 3, TEXT: 2}),
        Counter({"dog": 2, "rain": 1, "cat": 1}),
        [Place(2.0, "far"), Place(1.0, "near")],
        {"dog": Place(0.5, "dog"), "a": Place(0.1, "a")},
    )
    write_meanings({Code(1, 0, 7): meaning}, tmp_path / "codes.csv")
    with (tmp_path / "codes.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "layer": "1", "stage": "0", "code": "7", "audio": "3", "video": "0", "text": "2",
        "classes": "dog 50%; rain 25%; cat 25%", "seconds": "near; far", "words": "a; dog",
    }  # fmt: skip


def test_codebooks_are_drawn(coded: SRCID, tmp_path: Path) -> None:
    benchmark = MadeUpBenchmark()
    found = meanings(coded, benchmark)
    write_codebooks(found, vocabularies(coded, benchmark.paired()), tmp_path / "codes.png")
    assert (tmp_path / "codes.png").read_bytes().startswith(b"\x89PNG")
