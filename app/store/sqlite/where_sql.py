"""Filters on metadata as SQL on the column ``items.metadata``. Values are always bound."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from app.schemas.filters import AnyOf, Condition, Prefix, Range, Scalar, Where

OPERATORS = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<"}
KIND = "json_type(items.metadata, ?)"
VALUE = "json_extract(items.metadata, ?)"
IS_NUMBER = f"{KIND} IN ('integer', 'real')"
IS_TEXT = f"{KIND} = 'text'"


class Clause(NamedTuple):
    """A condition in SQL."""

    sql: str
    values: tuple[int | float | str, ...]  # of its placeholders, in order


def to_sql(where: Where) -> Clause:
    """Return the condition that is true for the items that match ``where``."""
    clauses = [_condition(_path(field), condition) for field, condition in where.root.items()]
    return _joined(clauses, " AND ") if clauses else Clause("TRUE", ())


def _condition(path: str, condition: Condition) -> Clause:
    match condition:
        case Range():
            return _range(path, condition)
        case AnyOf():
            return _any_of(path, condition.any_of)
        case Prefix():
            prefix = condition.prefix
            sql = f"{IS_TEXT} AND substr({VALUE}, 1, ?) = ?"
            return Clause(sql, (path, path, len(prefix), prefix))
        case _:
            return _any_of(path, [condition])


def _any_of(path: str, values: list[Scalar]) -> Clause:
    """Return the condition that the field equals one of ``values``, in type too."""
    flags = [json.dumps(value) for value in values if value is None or isinstance(value, bool)]
    texts = [value for value in values if isinstance(value, str)]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    clauses = [
        Clause(f"{IS_TEXT} AND {VALUE} IN ({_placeholders(texts)})", (path, path, *texts)),
        Clause(f"{IS_NUMBER} AND {VALUE} IN ({_placeholders(numbers)})", (path, path, *numbers)),
        Clause(f"ifnull({KIND}, 'null') IN ({_placeholders(flags)})", (path, *flags)),
    ]
    return _joined(clauses, " OR ")


def _range(path: str, condition: Range) -> Clause:
    bounds = condition.bounds
    is_text = any(isinstance(bound, str) for bound in bounds.values())
    clauses = [Clause(IS_TEXT if is_text else IS_NUMBER, (path,))]
    clauses += [Clause(f"{VALUE} {OPERATORS[name]} ?", (path, b)) for name, b in bounds.items()]
    return _joined(clauses, " AND ")


def _placeholders(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _joined(clauses: list[Clause], word: str) -> Clause:
    values = tuple(value for clause in clauses for value in clause.values)
    return Clause(word.join(f"({clause.sql})" for clause in clauses), values)


def _path(field: str) -> str:
    """Return SQLite's path to a field. Names are quoted: ``$[0]`` would mean a list's first."""
    return "$" + "".join(f".{json.dumps(part, ensure_ascii=False)}" for part in field.split("."))
