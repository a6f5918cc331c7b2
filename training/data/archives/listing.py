"""The lists that tell what an archive holds: tables of clips, and names of classes."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from model.errors import DataError


class Row(NamedTuple):
    """A row of a table."""

    source: str  # file and line, for messages
    values: Mapping[str, str]  # column -> value


def read_table(path: Path, columns: Sequence[str], *, delimiter: str = ",") -> list[Row]:
    """Return the rows of a table whose first line names its columns.

    Args:
        path: The file.
        columns: Those that it must have; a value in each. Others are left alone.
        delimiter: Between the values.

    Raises:
        DataError: The file is missing, or no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path} lacks the columns {missing}; its first line has {reader.fieldnames}, "
                    f"separated by {delimiter!r}"
                )
            rows = [Row(f"{path}, line {reader.line_num}", row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a readable table: {error}") from error
    if not rows:
        raise DataError(f"{path} has no rows below its header")
    for row in rows:
        for name in columns:
            if not row.values[name]:
                raise DataError(f"{row.source}: the column {name!r} is empty")
    return rows


def read_names(path: Path, *, count: int | None = None) -> tuple[str, ...]:
    """Return the names in a file with one per line.

    Raises:
        DataError: The file is missing, a line is empty or there twice, or there are not ``count``.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a readable list of classes: {error}") from error
    names = tuple(line.strip() for line in lines)
    for number, name in enumerate(names, start=1):
        if not name:
            raise DataError(
                f"{path}, line {number}: the line is empty, but classes are numbered by line"
            )
        if names.index(name) < number - 1:
            raise DataError(f"{path}, line {number}: {name!r} occurs twice")
    if count is not None and len(names) != count:
        raise DataError(f"{path} has {len(names)} classes, expected {count}")
    return names


def class_index(classes: Sequence[str], name: str, *, source: str) -> int:
    """Return the place of a class.

    Raises:
        DataError: It is none of ``classes``. ``source`` is named.
    """
    if name not in classes:
        raise DataError(f"{source}: there is no class {name!r} in the list of {len(classes)}")
    return classes.index(name)
