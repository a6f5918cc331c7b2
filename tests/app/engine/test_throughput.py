import pytest

from app.engine.throughput import Pace


def test_what_is_unknown_is_never_late() -> None:
    pace = Pace()
    assert pace.expected("clips", 3) is None
    assert not pace.is_late("clips", 3, 1e9)


def test_work_is_late_after_many_times_what_it_usually_takes() -> None:
    pace = Pace()
    pace.note("clips", 2, 1.0)
    assert pace.expected("clips", 10) == 5.0
    assert not pace.is_late("clips", 10, 100)
    assert pace.is_late("clips", 10, 102)
    assert not pace.is_late("sentences", 10, 102)


def test_the_latest_work_counts_most() -> None:
    pace = Pace()
    pace.note("clips", 1, 9.0)
    for _ in range(100):
        pace.note("clips", 1, 1.0)
    assert pace.expected("clips", 1) == pytest.approx(1.0, abs=0.001)
