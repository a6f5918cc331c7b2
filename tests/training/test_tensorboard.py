"""TensorBoard gets every number, for those who have it and ask for it."""

import sys
from pathlib import Path

import pytest

from model.errors import ConfigError
from training.run_log import RunLog
from training.tensorboard import TensorBoardLog


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TensorBoard's own imports
def test_every_number_is_there_and_a_resumed_run_repeats_none(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for start in (0, 2):  # stopped after step 3, resumed at step 2
        with RunLog([TensorBoardLog(tmp_path, steps=start)]) as log:
            for step in range(start, 4):
                log.step(step, {"total": step + start / 10}, epoch=0, layers=1)
            log.validation(0, {"mean": 0.5}, steps=4)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"total", "layers", "epoch", "validation/mean"} <= set(events.Tags()["scalars"])
    points = [(event.step, event.value) for event in events.Scalars("total")]
    assert points == [(0, 0.0), (1, 1.0), (2, pytest.approx(2.2)), (3, pytest.approx(3.2))]


def test_without_the_package_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"srcid\[tensorboard\]"):
        TensorBoardLog(tmp_path, steps=0)
    assert not (tmp_path / "tensorboard").exists()
