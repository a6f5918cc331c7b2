"""The log: lines that a resumed run takes back, and one call for every sink."""

import json
from pathlib import Path

import pytest

from training.run_log import JsonLog, ProgressBar, RunLog


def write(folder: Path, *, steps: int, epochs: int, until: int) -> None:
    """Log from ``steps`` on; an epoch has two steps."""
    with RunLog([JsonLog(folder, steps=steps, epochs=epochs)]) as log:
        for step in range(steps, until):
            log.step(step, {"total": step + 0.5}, epoch=step // 2, layers=1)
            if step % 2:
                log.validation(step // 2, {"mean": 0.1}, steps=step + 1)
        log.flush()


def lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_a_step_and_a_line_an_epoch(tmp_path: Path) -> None:
    write(tmp_path, steps=0, epochs=0, until=4)
    assert lines(tmp_path / "log.jsonl")[3] == {"step": 3, "epoch": 1, "layers": 1, "total": 3.5}
    validated = lines(tmp_path / "validation.jsonl")
    assert validated[1] == {"step": 4, "epoch": 1, "mean": 0.1}


def test_a_resumed_run_takes_back_what_it_repeats(tmp_path: Path) -> None:
    """Also half a line, which a killed process may leave."""
    write(tmp_path, steps=0, epochs=0, until=6)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "to')
    write(tmp_path, steps=3, epochs=1, until=6)
    assert [line["step"] for line in lines(tmp_path / "log.jsonl")] == list(range(6))
    assert [line["epoch"] for line in lines(tmp_path / "validation.jsonl")] == [0, 1, 2]


def test_a_run_without_validation_has_no_file_of_it(tmp_path: Path) -> None:
    write(tmp_path, steps=0, epochs=0, until=1)
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_the_bar_shows_steps_loss_layers_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with RunLog([ProgressBar(steps=4, total=10)]) as log:
        log.validation(0, {"mean": 0.25}, steps=4)
        log.step(4, {"total": 1.234}, epoch=1, layers=2)
    shown = capsys.readouterr().err
    assert "5/10" in shown
    assert "epoch 1, 2 layer(s), loss 1.23, validation 0.250" in shown
    assert "<" in shown  # elapsed<left
