"""Extraction of media of one's own: what a clip has, what fails, and going on after a kill."""

import csv
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import training.data.extract
from model.config import SRCIDConfig
from model.encoder import load_backbones
from model.errors import ConfigError, DataError
from model.media import DecodeConfig, read_clip
from model.modality import Modality
from tests.media_maker import colours, make_video
from tests.training.data.own_media import write_media
from training.data.extract import Report, extract
from training.data.extracted import ABOUT, ClipRow, read_index


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_media(tmp_path_factory.mktemp("own") / "media")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own") / "features"


@pytest.fixture(scope="module")
def report(media: Path, out: Path, tiny_config: SRCIDConfig) -> Report:
    return extract(media, out, tiny_config, workers=2)


def by_file(report: Report) -> dict[str, ClipRow]:
    return {row.file: row for row in report.clips}


def test_each_clip_has_what_its_media_has(report: Report) -> None:
    found = {file: (row.audio, row.video, row.captions) for file, row in by_file(report).items()}
    assert found == {
        "dog.mp4": (3, 3, 2),
        "silent.mp4": (0, 2, 1),
        "rain.wav": (5, 0, 0),
        "still.png": (0, 1, 1),
        "later.mp4": (2, 2, 1),
    }


def test_features_are_those_of_the_backbones(
    report: Report, media: Path, out: Path, tiny_config: SRCIDConfig
) -> None:
    shard = load_file(out / "clips" / by_file(report)["dog.mp4"].shard)
    clip = read_clip(media.parent / "dog.mp4")
    items = {"audio": clip, "video": clip, "text/0": "a dog barks", "text/1": "an animal"}
    assert shard.keys() == items.keys()
    backbones = load_backbones(tiny_config, "cpu")
    for name, item in items.items():
        backbone = backbones[Modality(name.partition("/")[0])]
        torch.testing.assert_close(shard[name], backbone(backbone.preprocess(item)))


def test_files_of_which_nothing_can_be_had_are_reported(report: Report, out: Path) -> None:
    assert report.failed.keys() == {"damaged.mp4", "absent.mp4"}
    with (out / "failed.csv").open() as file:
        rows = {row["file"]: row["error"] for row in csv.DictReader(file)}
    assert rows == report.failed
    assert "cannot read the file" in rows["absent.mp4"]


def test_the_index_is_read_as_it_was_written(
    report: Report, out: Path, tiny_config: SRCIDConfig
) -> None:
    assert read_index(out, tiny_config) == report.clips


def test_what_is_there_is_not_extracted_again(
    report: Report, media: Path, out: Path, tiny_config: SRCIDConfig
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir()}
    assert extract(media, out, tiny_config) == report
    assert {path: path.stat().st_mtime_ns for path in (out / "clips").iterdir()} == before


def write_videos(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"{number}.mp4").write_bytes(make_video(colours(1 + number)))


def test_an_extraction_that_was_killed_goes_on(
    tmp_path: Path, tiny_config: SRCIDConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle of writing the third clip, of which half a file is left."""
    media, out = tmp_path / "media", tmp_path / "out"
    media.mkdir()
    write_videos(media, 4)

    def dies(tensors: dict[str, torch.Tensor], path: Path) -> None:
        if len(list((out / "clips").glob("*.safetensors"))) == 2:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        save_file(tensors, path)

    monkeypatch.setattr(training.data.extract, "save_file", dies)
    with pytest.raises(KeyboardInterrupt):
        extract(media, out, tiny_config)
    monkeypatch.undo()
    with pytest.raises(DataError, match="has not finished; run `srcid extract` again"):
        read_index(out, tiny_config)
    done = {path: path.stat().st_mtime_ns for path in (out / "clips").glob("*.safetensors")}
    assert len(done) == 2

    report = extract(media, out, tiny_config)
    assert [row.video for row in report.clips] == [1, 2, 3, 4]
    assert read_index(out, tiny_config) == report.clips
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert list((out / "clips").glob(".partial*")) == []


@pytest.mark.parametrize("same", ["size", "time"])
def test_media_that_changed_is_extracted_again(
    tmp_path: Path, tiny_config: SRCIDConfig, same: str
) -> None:
    media, out = tmp_path / "media", tmp_path / "out"
    media.mkdir()
    write_videos(media, 2)
    path, new = media / "1.mp4", make_video(colours(4))
    if same == "size":
        path.write_bytes(path.read_bytes().ljust(len(new), b"\0"))
    os.utime(path, ns=(0, 0))
    first = extract(media, out, tiny_config).clips
    path.write_bytes(new)
    if same == "time":
        os.utime(path, ns=(0, 0))
    second = extract(media, out, tiny_config).clips
    assert first[0] == second[0]
    assert (first[1].video, second[1].video) == (2, 4)


def test_a_clip_that_is_damaged_on_disk_is_named(tmp_path: Path, tiny_config: SRCIDConfig) -> None:
    write_videos(tmp_path, 1)
    (row,) = extract(tmp_path, tmp_path / "out", tiny_config).clips
    (tmp_path / "out/clips" / row.shard).write_bytes(b"half")
    with pytest.raises(DataError, match=f"{row.shard}.*delete it and run `srcid extract`"):
        extract(tmp_path, tmp_path / "out", tiny_config)


def test_a_folder_of_other_features_is_left_alone(
    report: Report, media: Path, out: Path, tiny_config: SRCIDConfig
) -> None:
    with pytest.raises(ConfigError, match="extracted by another recipe or with other --seconds"):
        extract(media, out, tiny_config, seconds=5)


def test_media_with_nothing_that_the_recipe_takes_are_reported(
    tmp_path: Path, tiny_config: SRCIDConfig
) -> None:
    hears = {m: own for m, own in tiny_config.modalities.items() if m is not Modality.VIDEO}
    write_videos(tmp_path, 1)
    report = extract(
        tmp_path, tmp_path / "out", tiny_config.model_copy(update={"modalities": hears})
    )
    assert report.clips == []
    assert report.failed.keys() == {"0.mp4"}
    assert "neither a sound nor a picture that the recipe can use" in report.failed["0.mp4"]


@pytest.mark.parametrize("content", ["{}", "no JSON"])
def test_a_folder_whose_description_is_damaged_is_told_of(
    tmp_path: Path, tiny_config: SRCIDConfig, content: str
) -> None:
    write_videos(tmp_path, 1)
    out = tmp_path / "out"
    extract(tmp_path, out, tiny_config)
    (out / ABOUT).write_text(content)
    with pytest.raises(DataError, match=r"is damaged \(.*\): extract again$"):
        read_index(out, tiny_config)


def test_only_the_first_seconds_are_taken(tmp_path: Path, tiny_config: SRCIDConfig) -> None:
    write_videos(tmp_path, 3)
    report = extract(tmp_path, tmp_path / "out", tiny_config, seconds=2)
    assert [row.video for row in report.clips] == [1, 2, 2]


def test_a_step_has_as_many_frames_as_the_backbone_averages(
    tmp_path: Path, tiny_config: SRCIDConfig, paper_backbones: Path
) -> None:
    """The frame turns from black to white in the middle of its second."""
    frames = colours(1, fps=16, size=(256, 256))
    frames[:8], frames[8:] = 0, 255
    (tmp_path / "a.mp4").write_bytes(make_video(frames, fps=16))
    video = tiny_config.modalities[Modality.VIDEO].model_copy(
        update={"backbone": "vgg19", "feature_shape": (7, 7, 32)}
    )
    model = tiny_config.model_copy(update={"modalities": {Modality.VIDEO: video}})
    (row,) = extract(tmp_path, tmp_path / "out", model).clips
    features = load_file(tmp_path / "out/clips" / row.shard)["video"]
    backbone = load_backbones(model, "cpu")[Modality.VIDEO]
    clip = read_clip(tmp_path / "a.mp4", DecodeConfig(frames_per_step=16))
    torch.testing.assert_close(features, backbone(backbone.preprocess(clip)))
    once = backbone(backbone.preprocess(read_clip(tmp_path / "a.mp4")))
    assert not torch.allclose(features, once, atol=1e-2)
