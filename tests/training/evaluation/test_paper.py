"""The paper's tables as they are printed: their means follow from their cells."""

from statistics import mean

import pytest

from training.evaluation.paper import COLUMNS, TABLES, WITHIN_COLUMNS, PaperRow
from training.evaluation.tasks import PAPER
from training.recipes import RECIPES

ROWS = dict.fromkeys(row for rows in TABLES.values() for row in rows)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_a_printed_mean_is_that_of_its_cells(row: PaperRow) -> None:
    assert len(row.cells) == len(COLUMNS)
    assert mean(row.cells) == pytest.approx(row.mean, abs=0.0051)
    if row.within:
        assert len(row.within) == len(WITHIN_COLUMNS)
        assert mean(row.within) == pytest.approx(row.within_mean, abs=0.0051)
    assert row.recipe in RECIPES


def test_the_columns_are_the_tasks_in_their_order() -> None:
    assert tuple(task.name for task in PAPER.across()) == COLUMNS
    assert tuple(task.name for task in PAPER.within()) == WITHIN_COLUMNS
