from pathlib import Path

import pytest

from benchmarks import store


def test_keeping_and_opening_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ROUNDS", 1)
    monkeypatch.setattr(store, "EACH", 20)
    monkeypatch.setattr(store, "OPENINGS", 1)
    store.main(counts=[1200], folder=tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in lines] == [
        "| items",
        "| 1,200",
        "| durable",
        "| a page appended, fsync",
        "| items added one by one",
        "| items added by 16 threads",
    ]
    assert list(tmp_path.iterdir()) == []
