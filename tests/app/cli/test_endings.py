"""How a command ends when its user has had enough."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from app.cli.main import INTERRUPTED


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_ctrl_c_ends_indexing_without_a_traceback_and_keeps_what_is_done(
    tiny_checkpoint: Path, tmp_path: Path, sound: bytes
) -> None:
    (tmp_path / "media").mkdir()
    for n in range(400):
        (tmp_path / "media" / f"{n:03}.wav").write_bytes(sound)
    where = ("--data-dir", tmp_path / "data", "--checkpoint", tiny_checkpoint, "--device", "cpu")
    with start("index", tmp_path / "media", *where) as indexing:
        watchdog = threading.Timer(60, indexing.kill)
        watchdog.start()
        assert indexing.stderr is not None
        said = ""
        while "1/400" not in said:  # of the progress bar
            part = indexing.stderr.read(1)
            assert part, said
            said += part
        indexing.send_signal(signal.SIGINT)
        said += indexing.stderr.read()
        assert indexing.wait() == INTERRUPTED, said
        watchdog.cancel()
    assert "Traceback" not in said
    with start("items", "list", *where) as listing:
        lines = listing.communicate(timeout=60)[0].splitlines()
    assert 1 < len(lines) < 401


def test_a_pipe_that_closes_early_is_no_error_to_tell(tiny_checkpoint: Path) -> None:
    words = ("encode", "--text", "a dog barks", "--checkpoint", tiny_checkpoint)
    with start(*words) as encoding:
        assert encoding.stdout is not None
        assert encoding.stderr is not None
        encoding.stdout.close()
        assert encoding.stderr.read() == ""
        assert encoding.wait(60) == 1
