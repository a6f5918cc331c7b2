"""Two commands from media of one's own to a checkpoint, and a third to fine-tune it."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.config import SRCIDConfig
from tests.app.cli.running import Run
from tests.training.data.own_media import write_media

SMALL = {
    "data.steps": 2,
    "model.max_steps": 2,
    "data.clips_per_epoch": 8,
    "batch_size": 4,
    "epochs": 2,
    "warm_start.epoch": 1,
}


@pytest.fixture
def settings(tiny_config: SRCIDConfig) -> list[str]:
    """The options that make `compact` the tiny network, in two short epochs."""
    model = {"model": tiny_config.model_dump(mode="json"), **SMALL}
    return [word for k, v in model.items() for word in ("--set", f"{k}={json.dumps(v)}")]


@pytest.fixture
def trained(run: Run, settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run folder, after the two commands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("training.train.write_plots", lambda folder: [])  # takes seconds
    source = write_media(tmp_path / "media")
    extracted = run("extract", source, "features", "--workers", 1, *settings)
    assert extracted.code == 1
    assert "5 clips, 0.0 hours: 3 with sound, 4 with picture, 4 with captions" in extracted.out
    assert "2 files failed, see features/failed.csv" in extracted.out
    done = run("train", "compact", "--data", "features", "--out", "run", *settings)
    assert done.code == 0, done.err
    return tmp_path / "run"


def test_clips_that_lack_a_modality_are_trained_on(trained: Path) -> None:
    terms = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert [own["layers"] for own in terms] == [1, 1, 2, 2]
    for m in ("audio", "video", "text"):
        assert terms[-1][f"layer2/reconstruction/{m}"] > 0


def test_the_checkpoint_encodes(run: Run, trained: Path) -> None:
    found = run("encode", "media/dog.mp4", "--checkpoint", trained / "checkpoint", "--json").json()
    assert found


def test_init_goes_on_from_a_checkpoint(run: Run, settings: list[str], trained: Path) -> None:
    """With a learning rate of almost nothing the weights stay what they were there."""
    fine = [*settings, "--init", trained / "checkpoint", "--set", "optim.lr=1e-30"]
    done = run("train", "compact", "--data", "features", "--out", "fine", *fine)
    assert done.code == 0, done.err
    first, second = (
        load_file(folder / "checkpoint" / "model.safetensors") for folder in (trained, Path("fine"))
    )
    weights = [
        name for name, x in first.items() if x.is_floating_point() and "codebook" not in name
    ]
    assert weights
    assert all(torch.equal(first[name], second[name]) for name in weights)
    assert json.loads(Path("fine/train.json").read_text())["init"] == str(trained / "checkpoint")


def test_init_from_another_architecture_is_refused(
    run: Run, settings: list[str], trained: Path
) -> None:
    other = [*settings, "--init", trained / "checkpoint", "--set", "model.feedforward_dim=32"]
    done = run("train", "compact", "--data", "features", "--out", "other", *other)
    assert done.code == 2
    assert "feedforward_dim is 16 there and 32 here" in done.err


def test_the_same_folder_is_evaluated_and_calibrated_on(run: Run, trained: Path) -> None:
    """By its labels, in the splits that its table named."""
    for own in (trained, trained / "checkpoint"):
        found = run("evaluate", own, "--data", "features", "--split", "train")
        assert found.code == 0, found.err
        assert "layers both, codes" in found.out
    done = run(
        "calibrate", trained / "checkpoint", "--data", "features", "--held-out", "validation"
    )
    assert done.code == 0, done.err
    curves = json.loads((trained / "checkpoint" / "calibration.json").read_text())["matches"]
    assert "text > audio, both, mean" in curves
    refused = run("evaluate", trained, "--data", "features")  # the split `test`, by default
    assert refused.code == 2
    assert "splits are train, validation" in refused.err


def test_a_table_with_columns_of_its_own_is_read(
    run: Run, settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = write_media(tmp_path / "media")
    source.write_text(
        "id,what,said,set\ndog.mp4,dog,a dog barks | an animal,dev\nlater.mp4,bird,,dev\n"
    )
    refused = run("extract", source, "features", "--workers", 1, *settings)
    assert refused.code == 2
    assert "no column 'file'; it has id, what, said, set" in refused.err
    assert "--column file=NAME" in refused.err
    names = [f"--column={own}" for own in ("file=id", "label=what", "caption=said", "split=")]
    done = run("extract", source, "features", *names, "--separator", "|", "--workers", 1, *settings)
    assert done.code == 0, done.err
    rows = Path("features/clips.csv").read_text().splitlines()[1:]
    assert [row.split(",")[1:4] for row in rows] == [
        ["dog.mp4", "dog", "train"],
        ["later.mp4", "bird", "train"],
    ]
    assert [row.split(",")[-1] for row in rows] == ["2", "0"]
    for wrong, message in (
        ("split=set", "unknown split 'dev'; expected one of train, val, validation, test"),
        ("caption=absent", "no column 'absent'"),
        ("lable=what", "a column is file, caption, label, split"),
    ):
        refused = run(
            "extract", source, "other", "--column=file=id", f"--column={wrong}", *settings
        )
        assert refused.code == 2
        assert message in refused.err
