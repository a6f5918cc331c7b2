"""Worker processes that die, or whose parent does, take nothing with them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.data.processes import in_processes


def square(number: int) -> int:
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number**2


def test_an_item_that_kills_its_process_harms_no_other() -> None:
    found = dict(in_processes(square, range(9), workers=2))
    assert found == {n: None if n == 5 else n**2 for n in range(9)}


def test_what_the_function_raises_ends_everything() -> None:
    with pytest.raises(ValueError, match="-1 is negative"):
        dict(in_processes(square, [1, -1], workers=1))


PARENT = """
from tests.training.data.test_processes import wait_for_ever
from training.data.processes import in_processes

if __name__ == "__main__":
    for _ in in_processes(wait_for_ever, ["{folder}"], workers=1):
        pass
"""


def wait_for_ever(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()
    time.sleep(3600)


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(folder=tmp_path))
    root = Path(__file__).parents[3]
    parent = subprocess.Popen([sys.executable, script], env=os.environ | {"PYTHONPATH": str(root)})
    try:
        worker = _until(lambda: next((int(p.name) for p in tmp_path.glob("[0-9]*")), None))
    finally:
        parent.kill()
        parent.wait()
    assert _until(lambda: not _is_running(worker))


def _is_running(process: int) -> bool:
    """A zombie, which nobody has waited for yet, does not run."""
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def _until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.02)
    return found
