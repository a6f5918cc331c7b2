"""A whole reproduction in seconds: two recipes on tiny scenes, stopped, killed and gone on with."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import training.reproduce
from model.config import SRCIDConfig
from model.errors import ConfigError, DataError
from tests.training.tiny_rows import tiny
from training.config import TrainConfig
from training.errors import NonFiniteLoss
from training.evaluation.benchmarks import open_benchmark
from training.evaluation.results import all_tables
from training.evaluation.rows import recipe_rows
from training.evaluation.tables import render
from training.reproduce import FIGURES, Run, ceiling, plan, read_figures, reproduce

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("one_epoch")


@pytest.fixture
def runs(
    scenes_folder: Path,
    tiny_config: SRCIDConfig,
    tmp_path: Path,
) -> list[Run]:
    configs = [tiny(name, scenes_folder, tiny_config) for name in ("dcid", "srcid")]
    return plan(configs, [43], tmp_path / "out")


def test_rows_are_trained_evaluated_and_shown_and_then_left_alone(
    runs: list[Run],
    scenes_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = list(reproduce(runs))
    assert [(own.done, own.total) for own in steps] == [(0, 2), (1, 2), (2, 2)]
    assert [own.last and own.last.folder.name for own in steps] == [None, "dcid-43", "srcid-43"]
    assert steps[0].seconds_left is None
    assert steps[-1].seconds_left == 0
    kept = {run.config.name: [read_figures(run.folder)] for run in runs}
    total = sum(own.seconds for found in kept.values() for own in found if own)
    assert steps[-1].seconds_spent == pytest.approx(total)

    benchmark = open_benchmark(scenes_folder, runs[0].config.model)
    figures = {name: [own.figures for own in found if own] for name, found in kept.items()}
    rows = recipe_rows([run.config for run in runs])
    bound = ceiling(benchmark, runs[0].folder.parent)
    tables = list(all_tables(rows, figures, benchmark.suite, ceiling=bound))
    text = "\n".join(render(table, "text") for table in tables)
    for word in ("DCID (VQ)", "SRCID (only1)", "the frozen features", "many T>V", "srcid, layer 2"):
        assert word in text
    assert [cell for cell in tables[0].rows[0][1] if cell is None] == []

    monkeypatch.setattr(training.reproduce, "train", lambda *_, **__: pytest.fail("trained again"))
    assert [own.done for own in reproduce(runs)] == [2]


def test_a_run_that_was_killed_goes_on_where_it_was(
    runs: list[Run],
    tmp_path: Path,
) -> None:
    """The process dies by SIGKILL after its first epoch was saved; the rest is done afterwards."""
    script = f"""
import os, signal
from pathlib import Path
import torch
torch.set_num_threads(1)
import training.state
from training.config import TrainConfig
from training.errors import NonFiniteLoss
from training.reproduce import Run, reproduce
whole = training.state.save_state
def dies(folder, step, stopping):
    whole(folder, step, stopping)
    os.kill(os.getpid(), signal.SIGKILL)
training.state.save_state = dies
config = TrainConfig.model_validate_json(Path("config.json").read_text())
list(reproduce([Run(config, Path({str(runs[1].folder)!r}))]))
"""
    (tmp_path / "config.json").write_text(runs[1].config.model_dump_json())
    died = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert read_figures(runs[1].folder) is None
    list(reproduce(runs[1:]))
    lines = (runs[1].folder / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 2, 3]
    resumed = read_figures(runs[1].folder)
    fresh = runs[1]._replace(folder=tmp_path / "fresh")
    list(reproduce([fresh]))
    never_stopped = read_figures(fresh.folder)
    assert resumed is not None
    assert never_stopped is not None
    assert resumed.figures == never_stopped.figures


@pytest.mark.slow  # the processes know nothing of the short probes above
def test_several_processes_show_nothing_but_write_what_they_did(
    runs: list[Run], capfd: pytest.CaptureFixture[str]
) -> None:
    quick = [run._replace(config=run.config.model_copy(update={"epochs": 1})) for run in runs]
    assert [own.done for own in reproduce(quick, jobs=2)] == [0, 1, 2]
    assert "training" not in capfd.readouterr().err
    for run in runs:
        assert "training" in (run.folder / "progress.txt").read_text()
        assert read_figures(run.folder)


def test_a_folder_of_another_run_is_refused_before_anything_is_trained(
    runs: list[Run],
    scenes_folder: Path,
    tiny_config: SRCIDConfig,
) -> None:
    folder = runs[0].folder
    folder.mkdir(parents=True)
    other = runs[0].config.model_copy(update={"epochs": 3})
    (folder / "train.json").write_text(other.model_dump_json())
    with pytest.raises(ConfigError, match=r"dcid-43.*another --out"):
        plan([tiny("dcid", scenes_folder, tiny_config)], [43], folder.parent)


def test_seeds_go_round_all_rows_before_the_next(
    scenes_folder: Path,
    tiny_config: SRCIDConfig,
    tmp_path: Path,
) -> None:
    configs = [tiny(name, scenes_folder, tiny_config) for name in ("dcid", "srcid")]
    found = plan(configs, [43, 1], tmp_path)
    assert [run.folder.name for run in found] == ["dcid-43", "srcid-43", "dcid-1", "srcid-1"]
    assert [run.config.seed for run in found] == [43, 43, 1, 1]


def test_a_loss_that_is_not_finite_fails_its_run_and_no_other(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = training.reproduce.train

    def fails(config: TrainConfig, out: Path, **settings: bool) -> Path:
        if config.name == "dcid":
            raise NonFiniteLoss("step 3: total is nan")
        return whole(config, out, **settings)

    with monkeypatch.context() as patched:
        patched.setattr(training.reproduce, "train", fails)
        first = list(reproduce(runs))
    assert [own.failure for own in first] == [None, "step 3: total is nan", None]
    assert [own.done for own in first] == [0, 0, 1]
    assert [own.done for own in reproduce(runs)] == [1, 2]


def test_damaged_figures_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FIGURES).write_text("{")
    with pytest.raises(DataError, match="delete it"):
        read_figures(tmp_path)
