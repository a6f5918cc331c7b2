"""Commands run in this process, on the tiny checkpoint."""

import logging
import sys
from pathlib import Path

import pytest

from app.cli.main import main
from tests.app.cli.running import Ran, Run
from tests.training.conftest import (
    bank_folder,
    one_epoch,
    paper_shaped,
    scenes_folder,
    tiny_bank,
)

# Training's fixtures, for the commands that train and evaluate.
__all__ = ["bank_folder", "one_epoch", "paper_shaped", "scenes_folder", "tiny_bank"]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tiny_checkpoint: Path,
    tmp_path: Path,
) -> Run:
    """Run ``srcid`` with arguments; checkpoint and data directory come from the environment."""
    monkeypatch.setenv("SRCID_CHECKPOINT", str(tiny_checkpoint))
    monkeypatch.setenv("SRCID_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SRCID_DEVICE", "cpu")

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["srcid", *map(str, arguments)])
        code, root = 0, logging.getLogger()
        before = root.handlers[:], root.level
        try:
            main()
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        finally:  # a process of its own would leave nothing behind
            root.handlers[:], root.level = before
        return Ran(code, *capsys.readouterr())

    return run
