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
            f"there is no table {table} to reproduce: it is 1 or 2 (the text that we have of the "
            "paper lacks the figures of table 3, retrieval; ours are printed with every table)"
        )
    return TABLES[table]


def recipe_rows(configs: Sequence[TrainConfig]) -> tuple[PaperRow, ...]:
    """Return the rows of recipes, the paper's where it has them, in the order of ``configs``."""
    known = {row: row.recipe for rows in TABLES.values() for row in rows}
    found: list[PaperRow] = []
    for config in configs:
        own = [row for row, recipe in known.items() if recipe == config.name]
        if not own and config.model.num_layers > 1:
            own = [
                PaperRow(f"{config.name} (only1)", config.name, "1", (), 0.0),
                PaperRow(config.name, config.name, "both", (), 0.0),
            ]
        found += own or [PaperRow(config.name, config.name, "1", (), 0.0)]
    return tuple(found)
