"""``srcid reproduce``."""

import csv
import io
import json
from pathlib import Path

import pytest

from model.config import SRCIDConfig
from tests.app.cli.running import Run
from tests.training.tiny_rows import TINY


@pytest.mark.usefixtures("one_epoch")
def test_rows_are_trained_shown_and_the_next_time_only_shown(
    run: Run,
    scenes_folder: Path,
    tiny_config: SRCIDConfig,
    tmp_path: Path,
) -> None:
    modalities = tiny_config.model_dump(mode="json")["modalities"]
    settings = TINY | {"epochs": 1, "model.modalities": modalities}
    pairs = [
        word for path, own in settings.items() for word in ("--set", f"{path}={json.dumps(own)}")
    ]
    command = (
        "reproduce", "--data", scenes_folder, "--out", tmp_path / "out", "--seeds", "1",
        "--rows", "dcid", "--format", "csv", *pairs,
    )  # fmt: skip
    ran = run(*command)
    assert ran.code == 0, ran.err
    assert "[0/1] 0:00:00 of compute so far" in ran.err
    assert "[1/1] dcid-43 done" in ran.err
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    printed = {row["column"]: row["mean"] for row in rows if "the paper's figures" in row["table"]}
    assert printed["AVE V>A"] == "54.1"
    assert any(row["row"] == "DCID (VQ)" and row["table"].startswith("scenes") for row in rows)
    again = run(*command)
    assert again.out == ran.out
    assert "dcid-43 done" not in again.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--table", "3"), "table 3 cannot be reproduced"),
        (("--rows", "dcid,nothing"), "unknown recipe 'nothing'"),
    ],
)
def test_rows_that_are_not_known_are_refused(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    ran = run("reproduce", "--data", tmp_path, "--out", tmp_path / "out", *arguments)
    assert ran.code == 2
    assert message in ran.err


def test_a_folder_without_a_benchmark_is_refused(run: Run, tmp_path: Path) -> None:
    ran = run("reproduce", "--data", tmp_path, "--out", tmp_path / "out", "--rows", "dcid")
    assert ran.code == 2
    assert "has no benchmark" in ran.err
