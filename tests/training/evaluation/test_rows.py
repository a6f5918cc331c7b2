"""Which rows a table has."""

import pytest

from model.errors import ConfigError
from training.evaluation.paper import ONLY1, RVQ4, SRCID, TABLES
from training.evaluation.rows import checkpoint_rows, recipe_rows, table_rows
from training.recipes import recipe


def test_a_table_has_the_papers_rows() -> None:
    assert table_rows(1) == TABLES[1]
    assert table_rows(2) == TABLES[2]


def test_table_3_says_that_its_figures_are_not_known() -> None:
    with pytest.raises(ConfigError, match=r"table 3 cannot be reproduced: choose 1 or 2.*lack"):
        table_rows(3)


def test_a_recipe_has_the_papers_rows_or_one_for_each_choice_of_layers() -> None:
    names = ("srcid", "dcid_rvq4", "compact", "smoke")
    rows = recipe_rows([recipe(name) for name in names])
    assert rows[:3] == (ONLY1, SRCID, RVQ4)
    shown = [(row.title, row.recipe, row.layers) for row in rows[3:]]
    assert shown[:2] == [("compact (only1)", "compact", "1"), ("compact", "compact", "both")]
    assert {own for _, own, _ in shown[2:]} == {"smoke"}


def test_a_checkpoint_keeps_the_papers_cells_under_its_own_name() -> None:
    only1, both = checkpoint_rows("runs/mine", recipe="srcid", layers=2)
    assert [only1.title, both.title] == ["runs/mine: SRCID (only1)", "runs/mine: SRCID"]
    assert {only1.recipe, both.recipe} == {"runs/mine"}
    assert (only1.cells, both.cells) == (ONLY1.cells, SRCID.cells)
    (single,) = checkpoint_rows("x", recipe="of_mine", layers=1)
    assert (single.layers, single.cells) == ("1", ())
