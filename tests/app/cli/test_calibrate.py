"""srcid calibrate: the file beside a checkpoint."""

import shutil
from pathlib import Path

import pytest

from model.calibration import read_calibration
from tests.app.cli.running import Run


@pytest.fixture
def bank(tmp_path: Path, sound: bytes, picture: bytes) -> Path:
    folder = tmp_path / "bank"
    folder.mkdir()
    lines = ["id,modality,class,split,text"]
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            for number in range(2):
                name = f"{split}-{label}-{number}"
                (folder / f"{name}.wav").write_bytes(sound)
                (folder / f"{name}.png").write_bytes(picture)
                lines += [
                    f"{name}.wav,audio,{label},{split},",
                    f"{name}.png,image,{label},{split},",
                    f"{name},text,{label},{split},a {label} {number}",
                ]
    (folder / "manifest.csv").write_text("\n".join(lines))
    return folder


def test_a_checkpoint_is_calibrated_where_it_lies(
    run: Run, bank: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    cache = tmp_path / "features"
    ran = run("calibrate", folder, "--data", bank, "--foreign", bank, "--cache", cache)
    assert ran.code == 0, ran.err
    assert "81 curves" in ran.out
    found = read_calibration(folder)
    assert found is not None
    assert found.familiar.keys() == {"audio", "video", "text"}


def test_a_split_that_is_not_there_is_said(
    run: Run, bank: Path, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    options = ("--data", bank, "--cache", tmp_path / "features", "--held-out", "ghost")
    ran = run("calibrate", tiny_checkpoint, *options)
    assert ran.code == 2
    assert "split 'ghost'" in ran.err
