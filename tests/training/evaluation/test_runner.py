"""The protocols on clips whose answer is known."""

import pytest
import torch
from torch import Tensor

from model.errors import DataError
from model.modality import Modality
from model.srcid import SRCID
from tests.training.evaluation.benchmark_maker import MadeUpBenchmark, MadeUpClips
from training.evaluation.labelled_codes import CodeVectors, FeatureVectors
from training.evaluation.probe import ProbeConfig
from training.evaluation.runner import run_probes
from training.evaluation.tasks import Side

FAST = ProbeConfig(lr=3e-2, batch_size=6)


def test_what_both_modalities_share_is_found_across_them() -> None:
    found = run_probes(
        MadeUpBenchmark.suite.tasks,
        FeatureVectors(MadeUpBenchmark()),
        protocol="proper",
        config=FAST,
    )
    for task, figures in found.items():
        assert figures[task.metric] > 90, task.name
        assert set(figures) == (
            {"accuracy"} if task.kind == "classification" else {"precision", "recall", "f1", "map"}
        )


def test_noise_is_classified_by_chance_on_test_clips_but_not_on_the_probes_own() -> None:
    """Testing on the probe's own clips, as published, tells nothing of what it generalises to."""
    noise = MadeUpBenchmark(count=60, noise=1e3)
    tasks = [task for task in noise.suite.tasks if task.name == "one V>V"]
    config = ProbeConfig(lr=1e-2, batch_size=60)
    proper, published = (
        run_probes(tasks, FeatureVectors(noise), protocol=protocol, config=config)[tasks[0]]
        for protocol in ("proper", "published")
    )
    assert proper["accuracy"] < 55
    assert published["accuracy"] > proper["accuracy"]


def test_proper_uses_each_split_for_its_purpose_and_published_the_training_clips() -> None:
    tasks = [task for task in MadeUpBenchmark.suite.tasks if task.name == "one V>A"]
    for protocol, splits in (("proper", ["train", "test"]), ("published", ["train", "train"])):
        data = MadeUpBenchmark()
        run_probes(tasks, FeatureVectors(data), protocol=protocol, config=FAST)
        assert [side.split for side in data.opened] == splits
        assert [side.modality for side in data.opened] == [Modality.VIDEO, Modality.AUDIO]


def test_published_counts_background_as_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing ever happens, only background can be predicted: all of it is right."""
    silent = torch.zeros(4, 3, dtype=torch.bool)
    monkeypatch.setattr(MadeUpClips, "labels", lambda *_: silent)
    task = next(t for t in MadeUpBenchmark.suite.tasks if t.name == "several V>A")
    vectors = FeatureVectors(MadeUpBenchmark())
    published = run_probes([task], vectors, protocol="published", config=FAST)[task]
    assert published == {"precision": 100, "recall": 100, "f1": 100}
    proper = run_probes([task], vectors, protocol="proper", config=FAST)[task]
    assert proper == {"precision": 0, "recall": 0, "f1": 0, "map": 0}


def test_published_keeps_the_best_epoch_and_proper_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three epochs whose accuracy is known: the middle one is the best."""
    figures = iter([20.0, 70.0, 40.0, 40.0])
    monkeypatch.setattr(
        "training.evaluation.runner._figures", lambda *_, **__: {"accuracy": next(figures)}
    )
    task = next(t for t in MadeUpBenchmark.suite.tasks if t.name == "one V>A")
    vectors = FeatureVectors(MadeUpBenchmark())
    published = run_probes([task], vectors, protocol="published", config=FAST)[task]
    assert published == {"accuracy": 70}
    proper = run_probes([task], vectors, protocol="proper", config=FAST)[task]
    assert proper == {"accuracy": 40}


def test_a_data_set_is_encoded_once_for_all_layers_and_protocols_alike(coded: SRCID) -> None:
    data = MadeUpBenchmark()
    codes = CodeVectors(coded, data)
    for layers in ((0,), (1,), (0, 1)):
        run_probes(data.suite.tasks, codes.of_layers(layers), protocol="proper", config=FAST)
    assert len(data.opened) == len(set(data.opened)) == 8
    assert codes.of_layers((0, 1)).clips(data.opened[0]).vectors.table.shape[1] == 16


def test_a_probes_codes_are_those_of_the_clips(coded: SRCID) -> None:
    side = Side("one", "test", Modality.VIDEO)
    seen = CodeVectors(coded, MadeUpBenchmark()).of_layers((0,)).clips(side)
    clips = MadeUpClips("one", "test")
    for index in range(len(clips)):
        x = clips.features(index, Modality.VIDEO)[None]
        wanted = coded({Modality.VIDEO: x}).layers[0].quantized[Modality.VIDEO][0]
        torch.testing.assert_close(seen.vectors.table[seen.vectors.rows[index]], wanted)
        assert torch.equal(seen.labels[index], clips.labels(index, Modality.VIDEO))


def test_dropout_is_seen_only_where_it_is_asked_for(coded: SRCID) -> None:
    codes, side = CodeVectors(coded, MadeUpBenchmark()), Side("one", "test", Modality.VIDEO)
    clean, noisy = (codes.encoded(side, dropout=dropout) for dropout in (False, True))
    assert clean.shape == noisy.shape
    assert not torch.equal(clean, noisy)


def test_sides_of_other_classes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def labels(clips: MadeUpClips, index: int, modality: Modality) -> Tensor:
        return torch.zeros(4, 3 if modality is Modality.VIDEO else 2, dtype=torch.bool)

    monkeypatch.setattr(MadeUpClips, "features", lambda *_: torch.zeros(4, 8))
    monkeypatch.setattr(MadeUpClips, "labels", labels)
    task = next(t for t in MadeUpBenchmark.suite.tasks if t.name == "one V>A")
    with pytest.raises(DataError, match=r"one V>A: 3 classes .* 2"):
        run_probes([task], FeatureVectors(MadeUpBenchmark()), protocol="proper", config=FAST)


def test_clips_of_several_lengths_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        MadeUpClips, "labels", lambda _, index, __: torch.zeros(4 + index % 2, 3).bool()
    )
    monkeypatch.setattr(MadeUpClips, "features", lambda *_: torch.zeros(4, 8))
    with pytest.raises(DataError, match="one, split 'test'"):
        FeatureVectors(MadeUpBenchmark()).clips(Side("one", "test", Modality.VIDEO))
