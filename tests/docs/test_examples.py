"""Every example runs, on media and a checkpoint of the test's own."""

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from app.client import Client
from app.settings import load_settings
from model.config import SRCIDConfig
from model.media import read_clip
from model.modality import Modality
from tests.app.client.conftest import listening
from tests.media_maker import colours, make_sound, make_video, tone
from tests.training.data.own_media import write_media
from training.data.bank import read_manifest

EXAMPLES = Path(__file__).parents[2] / "examples"
TINY_RUN = {
    "data.steps": 2,
    "model.max_steps": 2,
    "data.clips_per_epoch": 8,
    "batch_size": 4,
    "epochs": 2,
    "warm_start.epoch": 1,
}
Main = Callable[..., None]


def main_of(name: str) -> Main:
    main: Main = runpy.run_path(str(EXAMPLES / name))["main"]
    return main


@pytest.fixture
def folder(tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of media; settings are such that the tiny checkpoint serves a new index."""
    monkeypatch.setenv("SRCID_CHECKPOINT", str(tiny_checkpoint))
    monkeypatch.setenv("SRCID_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SRCID_DEVICE", "cpu")
    media = tmp_path / "media"
    media.mkdir()
    (media / "clip.mp4").write_bytes(make_video(colours(3), audio=tone(3)))
    (media / "sound.wav").write_bytes(make_sound(tone(2)))
    return media


def test_no_example_is_left_out() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix == ".py"} == {
        "encode_a_clip.py",
        "index_a_folder.py",
        "make_a_bank.py",
        "retrieve_with_langchain.py",
        "search_by_text.py",
        "train_on_your_media.py",
        "use_the_client.py",
    }


def test_a_clip_is_encoded(
    folder: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main_of("encode_a_clip.py")(str(folder / "clip.mp4"), str(tiny_checkpoint))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert "cosine" in lines[-1]


def test_a_folder_is_indexed_and_searched(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = str(tmp_path / "index")
    main_of("index_a_folder.py")(str(folder), index)
    assert capsys.readouterr().out == f"2 items in {index}\n"
    main_of("search_by_text.py")("a dog barks", index)
    out = capsys.readouterr().out
    assert "clip.mp4  second" in out
    assert out.count("per second") == 3


def test_the_client_is_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listening(load_settings()) as url:
        main_of("use_the_client.py")(str(folder / "clip.mp4"), url)
        main_of("use_the_client.py")(str(folder / "clip.mp4"), url)
    out = capsys.readouterr().out
    assert "items: clip\n" in out
    assert "an item 'clip' exists" in out


def test_a_chain_retrieves(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listening(load_settings()) as url:
        with Client(url) as client:
            client.add("clip", folder / "clip.mp4")
            client.add("note", "a dog barks")
        main_of("retrieve_with_langchain.py")("a dog barks", url)
    out = capsys.readouterr().out
    assert out.startswith("+1.000  text  a dog barks\n")
    assert out.count("  clip\n") == 2


def test_a_bank_is_made_that_scenes_can_be_composed_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main_of("make_a_bank.py")(str(tmp_path))
    entries = read_manifest(tmp_path)
    assert capsys.readouterr().out == f"{len(entries)} items of 6 classes in {tmp_path}\n"
    kinds = {(entry.modality, entry.label, entry.split) for entry in entries}
    assert len(kinds) == len(Modality) * 6 * len(("train", "test"))
    for entry in entries:
        if entry.modality is not Modality.TEXT:
            read_clip(tmp_path / entry.id)


def test_own_media_are_trained_on(
    tiny_config: SRCIDConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("training.train.write_plots", lambda folder: [])  # takes seconds
    source = write_media(tmp_path / "media")
    changes = {"model": tiny_config.model_dump(mode="json"), **TINY_RUN}
    main_of("train_on_your_media.py")(str(source), str(tmp_path / "out"), changes)
    assert "5 clips, 2 unusable files" in capsys.readouterr().out
    assert (tmp_path / "out" / "run" / "checkpoint" / "model.safetensors").exists()
