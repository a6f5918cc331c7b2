"""How far, how fast, how long, and what failed."""

import json
from pathlib import Path

import pytest

from app.errors import InvalidRequest
from app.indexing.progress import RATE_SECONDS, FailureReport, Progress
from app.indexing.run import FileToIndex, Outcome

FILE = FileToIndex(Path("a.wav"), "a.wav", "a.wav", {})


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_rates_are_those_of_the_latest_seconds() -> None:
    clock = Clock()
    progress = Progress(1000, clock=clock)
    assert progress.files_per_second is progress.seconds_left is None
    for _ in range(100):  # a file a second
        clock.now += 1
        progress.note(Outcome(FILE, "indexed", seconds=10))
    assert progress.files_per_second == pytest.approx(1)
    assert progress.media_per_second == pytest.approx(10)
    assert progress.seconds_left == pytest.approx(900)
    for _ in range(10 * int(RATE_SECONDS)):  # ten a second that nothing had to be done for
        clock.now += 0.1
        progress.note(Outcome(FILE, "unchanged"))
    assert progress.files_per_second == pytest.approx(10, rel=0.1)
    assert progress.media_per_second == pytest.approx(0, abs=0.4)
    assert progress.counts == {"indexed": 100, "unchanged": 10 * int(RATE_SECONDS)}
    assert progress.media_seconds == 1000


def test_the_report_has_what_is_not_there_whole_at_once(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    with FailureReport(path) as report:
        report.note(Outcome(FILE, "indexed"))
        report.note(Outcome(FILE, "failed", "no media"))
        written = path.read_text()  # before the end: a crash would leave it
        report.note(Outcome(FILE, "indexed", "without seconds 60 to 120"))
    assert json.loads(written) == {"path": "a.wav", "detail": "no media"}
    assert [json.loads(line)["detail"] for line in path.read_text().splitlines()] == [
        "no media",
        "without seconds 60 to 120",
    ]


def test_a_report_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="name another file"):
        FailureReport(tmp_path / "nowhere" / "report.jsonl")
