"""``srcid evaluate``."""

from pathlib import Path

import pytest

from model.config import SRCIDConfig
from tests.app.cli.running import Run
from tests.app.cli.test_train import arguments
from tests.training.conftest import tiny_bank  # noqa: F401  a fixture


def test_a_run_is_evaluated_on_its_own_data_and_its_checkpoint_on_any(
    run: Run,
    tiny_bank: Path,  # noqa: F811
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
    tiny_bank: Path,  # noqa: F811
    tiny_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("evaluate", tiny_checkpoint, "--data", tiny_bank, "--split", "holdout")
    assert ran.code == 2
    assert "holdout" in ran.err
