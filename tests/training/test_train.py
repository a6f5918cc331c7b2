"""The loop: a whole run, an interrupted one, and what stands in the run folder."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import training.step
import training.train
from model.errors import CheckpointError, ConfigError
from training.config import TrainConfig
from training.data.sample import Batch
from training.errors import NonFiniteLoss
from training.recipes import override
from training.step import TrainingStep
from training.train import train

ROOT = Path(__file__).parents[2]
STEPS = 12  # of ``tiny_run``


def state(out: Path) -> dict[str, object]:
    """Everything in the run's last state, by its path: tensors, and numbers beside them."""
    found: dict[str, object] = {}

    def visit(path: str, value: object) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                visit(f"{path}/{key}", inner)
        elif isinstance(value, list):
            visit(path, dict(enumerate(value)))
        else:
            found[path] = value

    visit("", torch.load(out / "state.pt", weights_only=True))
    return found


def same(left: object, right: object) -> bool:
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return torch.equal(left, right)
    return left == right


def same_run(ours: Path, theirs: Path) -> None:
    """The two runs hold the same bits: weights, codebooks, optimizers, log, checkpoint."""
    left, right = state(ours), state(theirs)
    assert left.keys() == right.keys()
    assert [name for name in left if not same(left[name], right[name])] == []
    assert (ours / "log.jsonl").read_text() == (theirs / "log.jsonl").read_text()
    weights = [load_file(out / "checkpoint" / "model.safetensors") for out in (ours, theirs)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def records(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where these tests' runs stand side by side: they share the cache of features."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def whole(tiny_run: TrainConfig, runs: Path) -> Path:
    """A run that was never stopped."""
    train(tiny_run, runs / "whole")
    return runs / "whole"


@pytest.fixture
def out(request: pytest.FixtureRequest, runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder for this test. Drawing takes longer than training, so nothing is drawn."""
    monkeypatch.setattr(training.train, "write_plots", lambda folder: [])
    return runs / request.node.name


def stop_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Ctrl-C come in the middle of a step: CLUB has moved already, the network has not."""
    descend = training.step.descend

    def interrupted(optimizer: torch.optim.Optimizer, *rest: object) -> object:
        is_main = any("decoders" in group["name"] for group in optimizer.param_groups)
        if is_main and interrupted.calls == step:
            raise KeyboardInterrupt
        interrupted.calls += is_main
        return descend(optimizer, *rest)

    interrupted.calls = 0
    monkeypatch.setattr(training.step, "descend", interrupted)


def test_a_run_leaves_its_configuration_log_plots_and_checkpoint(
    whole: Path, tiny_run: TrainConfig
) -> None:
    assert TrainConfig.model_validate_json((whole / "train.json").read_text()) == tiny_run
    log = records(whole)
    assert [record["step"] for record in log] == list(range(STEPS))
    assert [record["layers"] for record in log] == [1] * 4 + [2] * 8
    assert all(1 <= record["layer1/perplexity"] <= record["layer1/codes_used"] for record in log)
    assert {"losses.png", "codebooks.png"} <= {path.name for path in whole.iterdir()}
    assert (whole / "checkpoint" / "config.json").is_file()
    assert [path.name for path in whole.glob(".partial*")] == []


@pytest.mark.parametrize(("step", "save_minutes"), [(0, 5), (1, 0), (6, 0), (11, 0), (11, 5)])
def test_a_run_stopped_by_ctrl_c_and_resumed_is_the_run_never_stopped(
    step: int,
    save_minutes: float,
    whole: Path,
    tiny_run: TrainConfig,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patched:
        stop_at(step, patched)
        with pytest.raises(KeyboardInterrupt):
            train(tiny_run, out, save_minutes=save_minutes)
    torch.manual_seed(time.time_ns())  # whatever the new process drew before
    train(tiny_run, out, resume=True)
    same_run(out, whole)


def test_a_run_killed_at_any_moment_and_resumed_is_the_run_never_stopped(
    whole: Path, tiny_run: TrainConfig, out: Path
) -> None:
    code = (
        "import sys, pathlib, torch\n"
        "from training.config import TrainConfig\n"
        "from training.train import train\n"
        "torch.set_num_threads(1)\n"
        "config = TrainConfig.model_validate_json(sys.argv[1])\n"
        "train(config, pathlib.Path(sys.argv[2]), save_minutes=0)\n"
    )
    arguments = [sys.executable, "-c", code, tiny_run.model_dump_json(), str(out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL) as process:
        while not (out / "state.pt").is_file():
            assert process.poll() is None, "the run ended by itself"
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.4))
        process.kill()
    saved = torch.load(out / "state.pt", weights_only=True)["steps"]
    print(f"killed at step {saved} or later")
    train(tiny_run, out, resume=True)
    same_run(out, whole)


def test_a_run_that_was_stopped_before_its_first_save_begins_at_step_0(
    whole: Path, tiny_run: TrainConfig, out: Path
) -> None:
    out.mkdir()
    (out / "train.json").write_text((whole / "train.json").read_text())
    train(tiny_run, out, resume=True)
    same_run(out, whole)


def test_a_run_that_was_stopped_before_it_wrote_anything_begins(
    whole: Path, tiny_run: TrainConfig, out: Path
) -> None:
    train(tiny_run, out, resume=True)
    same_run(out, whole)


def test_resuming_a_finished_run_changes_nothing(
    whole: Path, tiny_run: TrainConfig, out: Path
) -> None:
    shutil.copytree(whole, out)
    train(tiny_run, out, resume=True)
    same_run(out, whole)


def test_a_second_run_into_a_folder_is_refused(whole: Path, tiny_run: TrainConfig) -> None:
    before = (whole / "log.jsonl").read_text()
    with pytest.raises(ConfigError, match="already holds a run"):
        train(tiny_run, whole)
    with pytest.raises(ConfigError, match="does not hold a run of this configuration"):
        train(override(tiny_run, {"optim.lr": 1e-2}), whole, resume=True)
    assert (whole / "log.jsonl").read_text() == before


def test_a_folder_is_not_taken_by_a_run_that_cannot_begin(tiny_run: TrainConfig, out: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size 35"):
        train(override(tiny_run, {"batch_size": 35}), out)
    train(override(tiny_run, {"epochs": 1}), out)


def test_what_happens_between_steps_does_not_move_a_run(
    whole: Path, tiny_run: TrainConfig, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluation, a log or a plug-in may draw random numbers of its own."""
    call = TrainingStep.__call__

    def after_a_draw(self: TrainingStep, batch: Batch) -> dict[str, float]:
        torch.rand(7)
        return call(self, batch)

    monkeypatch.setattr(TrainingStep, "__call__", after_a_draw)
    train(tiny_run, out)
    same_run(out, whole)


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_its_state(
    tiny_run: TrainConfig, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        poison_step(5, patched)
        with pytest.raises(NonFiniteLoss, match="step 5: layer1/"):
            train(tiny_run, out)
    tensors = [own for own in state(out).values() if isinstance(own, torch.Tensor)]
    assert all(own.isfinite().all() for own in tensors)
    assert torch.load(out / "state.pt", weights_only=True)["steps"] == 4


@pytest.mark.parametrize("damage", ["cut off", "of another network"])
def test_a_state_that_does_not_fit_is_told_of(
    damage: str, whole: Path, tiny_run: TrainConfig, out: Path
) -> None:
    shutil.copytree(whole, out)
    kept = out / "state.pt"
    if damage == "cut off":
        kept.write_bytes(kept.read_bytes()[:1000])
    else:
        torch.save(torch.load(kept, weights_only=True) | {"model": {}}, kept)
    with pytest.raises(CheckpointError, match=r"state\.pt is damaged.*delete it to start") as told:
        train(tiny_run, out, resume=True)
    assert "\n" not in str(told.value)  # torch would name each of 170 parameters


def poison_step(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    call = TrainingStep.__call__

    def poisoned(self: TrainingStep, batch: Batch) -> dict[str, float]:
        if self.steps == number:
            next(iter(batch.features.values()))[0, 0, 0] = float("nan")
        return call(self, batch)

    monkeypatch.setattr(TrainingStep, "__call__", poisoned)
