"""The paper's tasks on small archives in the published formats."""

from pathlib import Path

import pytest
import torch

from model.config import SRCIDConfig
from model.errors import DataError
from model.modality import Modality
from model.srcid import SRCID
from tests.training.data.archives.published import (
    write_ave,
    write_ave_avvp,
    write_avvp,
    write_clotho,
    write_mscoco,
    write_msrvtt,
    write_ucf_vgg,
)
from training.evaluation.archive_benchmark import ArchiveBenchmark
from training.evaluation.benchmarks import is_benchmark, open_benchmark
from training.evaluation.figures import all_figures
from training.evaluation.probe import ProbeConfig
from training.evaluation.tasks import PAPER, Side

AUDIO, TEXT = Modality.AUDIO, Modality.TEXT


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("archives")
    for write in (write_ave, write_avvp, write_ave_avvp, write_ucf_vgg):
        write(root)
    for write_captions in (write_mscoco, write_clotho, write_msrvtt):
        write_captions(root)
    return root


def test_every_side_of_the_papers_tasks_can_be_opened(
    archives: Path, paper_shaped: SRCIDConfig
) -> None:
    benchmark = open_benchmark(archives, paper_shaped)
    assert benchmark.suite == PAPER
    assert benchmark.missing == ()
    for task in benchmark.suite.tasks:
        for side in (task.train, task.test, *task.published):
            clips = benchmark.labelled(side)
            assert side.modality in clips.modalities, task.name
            assert len(clips), task.name
            assert clips.labels(0, side.modality).shape == (10, len(clips.classes))


def test_a_side_is_its_own_data_set(archives: Path, paper_shaped: SRCIDConfig) -> None:
    benchmark = ArchiveBenchmark(archives, paper_shaped)
    names = {
        side.data: benchmark.labelled(side).name
        for task in PAPER.tasks
        for side in (task.train, task.test)
    }
    assert names == {
        "AVE": "AVE",
        "AVVP": "AVVP",
        "AVE of AVVP": "AVE (AVVP's classes)",
        "AVVP of AVE": "AVVP (AVE's classes)",
        "UCF": "UCF-101",
        "VGGSound": "VGGSound (UCF-101's classes)",
    }
    assert len(benchmark.labelled(Side("AVE", "train", AUDIO))) == 4
    assert len(benchmark.labelled(Side("AVE", "test", AUDIO))) == 2
    clips = {task.family: len(benchmark.captioned(task)) for task in PAPER.retrieval}
    assert clips == {"MSCOCO": 2, "MSR-VTT": 3, "Clotho": 11, "Clotho, as published": 2}


def test_only_data_sets_that_are_there_give_columns(
    tmp_path: Path, paper_shaped: SRCIDConfig
) -> None:
    write_ave(tmp_path)
    write_mscoco(tmp_path)
    benchmark = open_benchmark(tmp_path, paper_shaped)
    assert {task.family for task in benchmark.suite.tasks} == {"AVE"}
    assert [task.family for task in benchmark.suite.retrieval] == ["MSCOCO"]
    assert benchmark.missing == (
        "AVVP", "AVE>AVVP", "UCF(v)<>VGG(a)", "MSR-VTT", "Clotho", "Clotho, as published",
    )  # fmt: skip


def test_a_checkpoint_has_figures_in_every_column_that_is_there(
    tmp_path: Path, paper_shaped: SRCIDConfig
) -> None:
    write_ave(tmp_path)
    write_msrvtt(tmp_path)
    torch.manual_seed(0)
    model = SRCID(paper_shaped).eval()
    config = ProbeConfig(batch_size=2)
    found = all_figures(model, open_benchmark(tmp_path, paper_shaped), probe=config)
    for name in ("proper/1/AVE V>A/accuracy", "published/both/AVE A>A/accuracy"):
        assert 0 <= found[name] <= 100
    assert found["retrieval/1/vectors/MSR-VTT T>V/recall_at_10"] == 100  # of three
    assert "vocabulary/1/overlap/audio ~ video" in found
    assert not any("text" in name for name in found if name.startswith("vocabulary"))


def test_without_ave_there_are_no_paired_clips(tmp_path: Path, paper_shaped: SRCIDConfig) -> None:
    write_msrvtt(tmp_path)
    benchmark = open_benchmark(tmp_path, paper_shaped)
    assert not benchmark.paired()
    found = all_figures(SRCID(paper_shaped).eval(), benchmark)
    assert {name.split("/")[0] for name in found} == {"retrieval"}


def test_sentences_pass_the_checkpoints_text_backbone_once(
    archives: Path, paper_shaped: SRCIDConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = ArchiveBenchmark(archives, paper_shaped)
    alone = [ArchiveBenchmark(archives, paper_shaped).words([own])[0] for own in ("a dog", "rain")]
    twice = benchmark.words(["a dog", "rain", "a dog"])
    for own, expected in zip(twice, [*alone, alone[0]], strict=True):
        torch.testing.assert_close(own, expected)
    monkeypatch.setattr(benchmark, "_backbone", None)
    assert len(benchmark.words(["rain"])) == 1


def test_a_checkpoint_of_other_backbones_is_refused(
    archives: Path, tiny_config: SRCIDConfig, paper_shaped: SRCIDConfig
) -> None:
    with pytest.raises(DataError, match=r"audio features of vggish .* takes those of tiny-audio"):
        open_benchmark(archives, tiny_config)
    mute = {m: own for m, own in paper_shaped.modalities.items() if m is not TEXT}
    with pytest.raises(DataError, match="a checkpoint that takes text"):
        open_benchmark(archives, paper_shaped.model_copy(update={"modalities": mute}))


def test_a_folder_without_a_benchmark_is_refused(tmp_path: Path, paper_shaped: SRCIDConfig) -> None:
    assert not is_benchmark(tmp_path)
    with pytest.raises(DataError, match="has no benchmark: name a folder that `srcid scenes`"):
        open_benchmark(tmp_path, paper_shaped)
    write_msrvtt(tmp_path)
    assert is_benchmark(tmp_path)
