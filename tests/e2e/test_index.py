"""``srcid index`` as a process: killed at any moment, it goes on where it was."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

from tests.media_maker import make_sound, tone

NUM_FILES = 150
WAIT = 60  # seconds: far more than it takes


def command(checkpoint: Path, folder: Path, data_dir: Path, *options: str) -> list[str]:
    own = [sys.executable, "-m", "app", "index", str(folder), "--data-dir", str(data_dir)]
    return [*own, "--checkpoint", str(checkpoint), *options]


def num_items(data_dir: Path) -> int:
    uri = f"file:{data_dir / 'items.sqlite3'}?mode=ro"
    with suppress(sqlite3.Error), closing(sqlite3.connect(uri, uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM items").fetchone()[0])
    return 0


def test_a_run_that_is_killed_keeps_what_it_told_and_the_next_does_the_rest(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder, data_dir, log = tmp_path / "media", tmp_path / "data", tmp_path / "log"
    folder.mkdir()
    sound = make_sound(tone(1, 16_000), 16_000)
    for number in range(NUM_FILES):
        (folder / f"{number:03}.wav").write_bytes(sound + bytes(number))  # no two are equal
    (folder / "no media.wav").write_text("")
    with log.open("wb") as output:
        process = subprocess.Popen(command(tiny_checkpoint, folder, data_dir), stderr=output)
        deadline = time.monotonic() + WAIT
        while num_items(data_dir) < 10:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    told = [int(count) for count in re.findall(rf"(\d+)/{NUM_FILES + 1} ", log.read_text())]
    kept = num_items(data_dir)
    assert max(told, default=0) <= kept < NUM_FILES
    report = tmp_path / "report.jsonl"
    again = command(tiny_checkpoint, folder, data_dir, "--json", "--report", str(report))
    ran = subprocess.run(again, capture_output=True, text=True, check=False)
    found = json.loads(ran.stdout)
    assert (len(found["unchanged"]), len(found["indexed"])) == (kept, NUM_FILES - kept)
    assert json.loads(report.read_text())["path"] == "no media.wav"
