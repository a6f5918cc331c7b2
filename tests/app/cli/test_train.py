"""``srcid train``."""

import json
from pathlib import Path

import pytest
import torch

from model.config import SRCIDConfig
from tests.app.cli.running import Run
from training.step import TrainingStep

SMALL = ("data.clips_per_epoch=16", "batch_size=8", "data.steps=3", "model.max_steps=3", "epochs=1")


def arguments(config: SRCIDConfig, bank: Path, out: Path) -> list[object]:
    settings = [f"model={config.model_dump_json()}", *SMALL]
    pairs = [word for setting in settings for word in ("--set", setting)]
    return ["train", "smoke", "--data", bank, "--out", out, "--device", "cpu", *pairs]


def test_a_run_is_stopped_resumed_and_not_begun_twice(
    run: Run,
    tiny_bank: Path,
    tiny_config: SRCIDConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = arguments(tiny_config, tiny_bank, tmp_path / "out")
    call = TrainingStep.__call__
    with monkeypatch.context() as patched:

        def stopped(self: TrainingStep, batch: object) -> object:
            if self.steps == 1:
                raise KeyboardInterrupt
            return call(self, batch)

        patched.setattr(TrainingStep, "__call__", stopped)
        ran = run(*words, "--save-minutes", 0)
        assert ran.code == 130
        assert "repeat the command with --resume" in ran.err
    ran = run(*words)
    assert ran.code == 2
    assert "already holds a run" in ran.err
    ran = run(*words, "--resume")
    assert ran.code == 0
    assert f"checkpoint: {tmp_path / 'out' / 'checkpoint'}" in ran.out
    lines = (tmp_path / "out" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1]
    assert torch.load(tmp_path / "out" / "state.pt", weights_only=True)["steps"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "nonsense", "--out", "x"), "unknown recipe 'nonsense'"),
        (("train", "smoke", "--out", "x"), "--data"),
        (("train", "smoke", "--out", "x", "--set", "optim.lr"), "path=value"),
        (("train", "smoke", "--out", "x", "--data", "absent"), "absent"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_no_folder(
    words: tuple[str, ...], said: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*words)
    assert ran.code == 2
    assert said in ran.err
    assert not (tmp_path / "x").exists()
