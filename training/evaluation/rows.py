"""The rows that a table shows: the paper's, or one for each layer choice of a named recipe."""

from collections.abc import Sequence

from model.errors import ConfigError
from training.config import TrainConfig
from training.evaluation.paper import TABLES, PaperRow


def table_rows(table: int) -> tuple[PaperRow, ...]:
    """Return the rows of Table 1 or 2.

    Raises:
        ConfigError: We have no other.
    """
    if table not in TABLES:
        raise ConfigError(
            f"table {table} cannot be reproduced: choose 1 or 2 (we lack the paper's figures of "
            "table 3, retrieval; ours are printed with every table)"
        )
    return TABLES[table]


def recipe_rows(configs: Sequence[TrainConfig]) -> tuple[PaperRow, ...]:
    """Return the rows of recipes, the paper's where it has them, in the order of ``configs``."""
    return tuple(
        row for config in configs for row in rows_of(config.name, layers=config.model.num_layers)
    )


def rows_of(recipe: str, *, layers: int) -> tuple[PaperRow, ...]:
    """Return the rows of one recipe, the paper's where it has them."""
    known = dict.fromkeys(row for rows in TABLES.values() for row in rows)
    own = tuple(row for row in known if row.recipe == recipe)
    if own:
        return own
    if layers == 1:
        return (PaperRow(recipe, recipe, "1", (), 0.0),)
    return (
        PaperRow(f"{recipe} (only1)", recipe, "1", (), 0.0),
        PaperRow(recipe, recipe, "both", (), 0.0),
    )


def checkpoint_rows(checkpoint: str, *, recipe: str, layers: int) -> tuple[PaperRow, ...]:
    """Return the rows of one checkpoint of ``recipe``; its figures stand under its own name."""
    return tuple(
        row._replace(title=f"{checkpoint}: {row.title}", recipe=checkpoint)
        for row in rows_of(recipe, layers=layers)
    )
