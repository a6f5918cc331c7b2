from pathlib import Path

import pytest

from benchmarks import summary
from benchmarks.goals import Goal

GOALS = [
    Goal("P1", "clips, bare / ours", 0.91, 0.9, True),
    Goal("P6", "adding 1,000,000 in bulk", 104_512, 100_000, True, "items/s"),
    Goal("P2", "added to a sentence", -0.3, 1, False, "ms"),
    Goal("P8", "answers that differ: of 170", 0, 0, False),
    Goal("P7", "memory gained", 0, 2, False, "%"),
]


@pytest.mark.parametrize("goal", GOALS, ids=str)
def test_a_goal_is_read_as_it_was_printed(goal: Goal) -> None:
    assert Goal.parse(str(goal)) == goal


def test_a_small_value_is_told_without_an_exponent() -> None:
    assert str(Goal("P7", "memory", 0.00001, 2, False, "%")).startswith("- P7, memory: 0 %")


@pytest.mark.parametrize("line", ["", "| P1 | 3 |", "- P1, bare / it: 0.91 (goal 0.90)"])
def test_other_lines_tell_of_no_goal(line: str) -> None:
    assert Goal.parse(line) is None


@pytest.mark.parametrize(
    ("value", "bound", "is_least", "is_met"),
    [(2, 2, True, True), (1, 2, True, False), (2, 2, False, True), (3, 2, False, False)],
)
def test_a_goal_is_met_within_its_bound(
    value: float, bound: float, is_least: bool, is_met: bool
) -> None:
    goal = Goal("P1", "it", value, bound, is_least)
    assert goal.is_met is is_met
    assert str(goal).endswith("met)") is is_met


def test_the_page_has_the_goals_of_all_reports_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real program is run; what it prints becomes a report and lines of the page."""
    (tmp_path / "printing.py").write_text(f'print("| a table |")\nprint("{GOALS[1]}")\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(summary, "RUNS", {"a": "printing", "b": "missing"})
    (tmp_path / "a.md").write_text(summary.report_of("printing"))
    (row,) = summary.rows(tmp_path)
    assert row.startswith("| P6 | adding 1,000,000 in bulk | ≥ 100,000 items/s | 104,512 items/s ")
    assert "| 1.05 | met | [a](bench/a.md) | 20" in row
