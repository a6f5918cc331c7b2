"""``srcid scenes``, and then a training on what it made."""

import json
from pathlib import Path

import pytest

from model.config import SRCIDConfig
from model.media import read_clip
from tests.app.cli.running import Run
from tests.training.data.scenes.made_up import write_bank
from training.data.scenes.clips import open_scenes


@pytest.fixture
def settings(tiny_config: SRCIDConfig) -> list[str]:
    """The options that put a recipe on the tiny network, in one short epoch."""
    small = {
        "model": tiny_config.model_dump(mode="json"),
        "data.steps": 10,
        "model.max_steps": 10,
        "data.clips_per_epoch": 8,
        "data.validation": 0.1,
        "batch_size": 4,
        "epochs": 1,
    }
    return [word for k, v in small.items() for word in ("--set", f"{k}={json.dumps(v)}")]


def test_scenes_are_composed_written_as_videos_and_trained_on(
    run: Run, settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.train.write_plots", lambda folder: [])  # takes seconds
    bank, out = write_bank(tmp_path / "bank"), tmp_path / "scenes"
    composed = ("scenes", bank, "--out", out, "--seed", 3, "--share", 0.02, *settings)
    done = run(*composed, "--videos", 1)
    assert done.code == 0, done.err
    assert "scenes, 4 of them as videos" in done.out
    names = sorted(path.stem for path in (out / "videos").iterdir())
    assert names == [f"{name}-test-0000" for name in ("cuts", "many", "single", "sounds")]
    assert read_clip(out / "videos" / "single-test-0000.mp4").duration_seconds is not None

    scenes = open_scenes(out)
    assert scenes.about.config.seed == 3
    assert len(scenes.labelled("single", "train")) == 4  # a fiftieth of 200

    trained = run("train", "compact", "--data", out, "--out", tmp_path / "run", *settings)
    assert trained.code == 0, trained.err
    assert (tmp_path / "run" / "checkpoint" / "model.safetensors").is_file()


def test_a_folder_of_other_scenes_is_refused(run: Run, settings: list[str], tmp_path: Path) -> None:
    bank, out = write_bank(tmp_path / "bank"), tmp_path / "scenes"
    small = ("scenes", bank, "--out", out, "--share", 0.005, *settings)
    assert run(*small).code == 0
    done = run(*small, "--seed", 1)
    assert done.code == 2
    assert "name another folder" in done.err
