"""``srcid evaluate``."""

import csv
import io
from pathlib import Path

import pytest

from model.config import SRCIDConfig
from model.srcid import SRCID
from tests.app.cli.running import Run
from tests.app.cli.test_train import arguments
from tests.training.data.archives.published import write_msrvtt
from tests.training.tiny_rows import tiny, write_run


def test_a_run_is_evaluated_on_its_own_data_and_its_checkpoint_on_any(
    run: Run,
    tiny_bank: Path,
    tiny_config: SRCIDConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments(tiny_config, tiny_bank, tmp_path / "out")).code == 0
    own = run("evaluate", tmp_path / "out", "--split", "train")
    assert own.code == 0
    assert "layers both, codes" in own.out
    named = run("evaluate", "out/checkpoint", "--data", tiny_bank, "--split", "train")
    assert named.out.splitlines()[1:] == own.out.splitlines()[1:]


def test_without_data_a_checkpoint_asks_for_it(run: Run, tmp_path: Path) -> None:
    ran = run("evaluate", tmp_path)
    assert ran.code == 2
    assert "--data" in ran.err


def test_a_split_that_the_bank_lacks_is_named(
    run: Run,
    tiny_bank: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("evaluate", tiny_checkpoint, "--data", tiny_bank, "--split", "holdout")
    assert ran.code == 2
    assert "holdout" in ran.err


@pytest.mark.usefixtures("one_epoch")
def test_checkpoints_stand_side_by_side_on_scenes(
    run: Run,
    scenes_folder: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
) -> None:
    copy = tmp_path / "copy"
    copy.symlink_to(tiny_checkpoint)
    ran = run("evaluate", tiny_checkpoint, copy, "--data", scenes_folder, "--format", "csv")
    assert ran.code == 0
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    tables = {row["table"] for row in rows}
    assert {"scenes, across modalities, protocol: proper", "retrieval, many T>V"} <= tables
    figures = {(own["table"], own["row"], own["column"]): own["mean"] for own in rows}
    ours = {key: mean for key, mean in figures.items() if str(copy) in key[1]}
    assert ours
    for (table, row, column), mean in ours.items():
        assert figures[table, row.replace(str(copy), str(tiny_checkpoint)), column] == mean


@pytest.mark.usefixtures("one_epoch")
@pytest.mark.parametrize(
    ("table", "expected", "absent"),
    [
        ("1", "scenes, within a modality", "retrieval"),
        ("2", "scenes, across modalities", "within a modality"),
        ("3", "retrieval, many A>T", "across modalities"),
    ],
)
def test_one_table_of_the_paper_can_be_had(
    run: Run,
    scenes_folder: Path,
    tiny_checkpoint: Path,
    table: str,
    expected: str,
    absent: str,
) -> None:
    ran = run("evaluate", tiny_checkpoint, "--data", scenes_folder, "--table", table)
    assert ran.code == 0
    assert expected in ran.out
    assert absent not in ran.out


@pytest.mark.usefixtures("one_epoch")
def test_a_run_of_a_row_of_the_paper_stands_beside_the_papers_cells(
    run: Run,
    scenes_folder: Path,
    tiny_config: SRCIDConfig,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    write_run(out, tiny(name="dcid", scenes=scenes_folder, config=tiny_config))
    ran = run("evaluate", out, "--table", "2", "--format", "markdown")
    assert ran.code == 0
    assert f"| {out}: DCID (VQ) | 54.1 | 55.0 |" in ran.out


@pytest.mark.parametrize("option", [("--table", "1"), ("--format", "csv"), ("--codes", "out")])
def test_tables_are_not_made_of_a_bank(
    run: Run,
    tiny_bank: Path,
    tiny_checkpoint: Path,
    option: tuple[str, str],
) -> None:
    ran = run("evaluate", tiny_checkpoint, "--data", tiny_bank, *option)
    assert ran.code == 2
    assert "is a bank: --table, --format and --codes need composed scenes" in ran.err


def test_data_sets_that_are_absent_are_named(
    run: Run,
    paper_shaped: SRCIDConfig,
    tmp_path: Path,
) -> None:
    write_msrvtt(tmp_path)
    checkpoint = tmp_path / "checkpoint"
    SRCID(paper_shaped).save_pretrained(checkpoint)
    ran = run("evaluate", checkpoint, "--data", tmp_path, "--table", "3")
    assert ran.code == 0
    assert f"missing in {tmp_path}: AVE, AVVP, AVE>AVVP, UCF(v)<>VGG(a), MSCOCO, Clotho" in ran.err
    assert "retrieval, MSR-VTT V>T" in ran.out


def test_what_the_codes_mean_is_written(
    run: Run,
    scenes_folder: Path,
    tiny_checkpoint: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "codes"
    command = ("evaluate", tiny_checkpoint, "--data", scenes_folder, "--table", "3")
    assert run(*command, "--codes", out).code == 0
    assert {path.name for path in out.iterdir()} == {"codes.csv", "codes.png"}
    refused = run(*command, tiny_checkpoint, "--codes", out)
    assert refused.code == 2
    assert "--codes takes one checkpoint" in refused.err
