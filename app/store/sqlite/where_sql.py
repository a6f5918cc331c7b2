"""Filters on metadata as SQL on the column ``items.metadata``. Values are always bound."""

import json
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from app.schemas.filters import OPERATORS, AnyOf, Condition, Prefix, Range, Scalar, Where


class Clause(NamedTuple):
    """A condition in SQL, or a part of one."""

    sql: str
    values: tuple[int | float | str, ...]  # of its placeholders, in order


def to_sql(where: Where) -> Clause:
    """Return the condition that is true for the items that match ``where``."""
    return where.fold({"and": _all, "or": _any, "not": _none}, _condition)


def _all(clauses: Sequence[Clause]) -> Clause:
    return _joined(clauses, " AND ") if clauses else Clause("TRUE", ())


def _any(clauses: Sequence[Clause]) -> Clause:
    return _joined(clauses, " OR ")


def _none(clauses: Sequence[Clause]) -> Clause:
    sql, values = _any(clauses)
    return Clause(f"({sql}) IS NOT TRUE", values)  # a condition may be NULL, not false


def _condition(field: str, condition: Condition) -> Clause:
    path = _path(field)
    match condition:
        case Range():
            return _range(path, condition)
        case AnyOf():
            return _any_of(path, condition.any_of)
        case Prefix(prefix=prefix):
            sql = f"{_kind(path)} = 'text' AND substr({_value(path)}, 1, ?) = ?"
            return Clause(sql, (*path.values, *path.values, len(prefix), prefix))


def _any_of(path: Clause, values: list[Scalar]) -> Clause:
    """Return the condition that the field equals one of ``values``, in type too, or lists one."""
    others = [value for value in values if value is not None]
    elements = _equals(Clause("element.type", ()), Clause("element.value", ()), others, "FALSE")
    listed = f"SELECT 1 FROM json_each(items.metadata, {path.sql}) AS element WHERE {elements.sql}"
    kind, value = Clause(_kind(path), path.values), Clause(_value(path), path.values)
    return _equals(kind, value, values, f"EXISTS ({listed})", (*path.values, *elements.values))


def _equals(
    kind: Clause,
    value: Clause,
    values: Sequence[Scalar],
    listed: str,
    bound: tuple[int | float | str, ...] = (),
) -> Clause:
    """Return the condition that a JSON value equals one of ``values``.

    Args:
        kind: Its JSON type.
        value: The value.
        values: Texts, numbers, booleans and null.
        listed: The condition if it is a list.
        bound: The values of the placeholders in ``listed``.
    """
    flags = [json.dumps(value) for value in values if value is None or isinstance(value, bool)]
    texts = [value for value in values if isinstance(value, str)]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    sql = (
        f"CASE {kind.sql} WHEN 'text' THEN {value.sql} IN ({_marks(texts)}) "
        f"WHEN 'integer' THEN {value.sql} IN ({_marks(numbers)}) "
        f"WHEN 'real' THEN {value.sql} IN ({_marks(numbers)}) "
        f"WHEN 'array' THEN {listed} ELSE ifnull({kind.sql}, 'null') IN ({_marks(flags)}) END"
    )
    compared = [(*value.values, *each) for each in (texts, numbers, numbers)]
    return Clause(sql, (*kind.values, *chain(*compared), *bound, *kind.values, *flags))


def _range(path: Clause, condition: Range) -> Clause:
    bounds = condition.bounds
    is_text = any(isinstance(bound, str) for bound in bounds.values())
    kinds = "('text')" if is_text else "('integer', 'real')"
    clauses = [Clause(f"{_kind(path)} IN {kinds}", path.values)]
    clauses += [
        Clause(f"{_value(path)} {OPERATORS[name]} ?", (*path.values, bound))
        for name, bound in bounds.items()
    ]
    return _all(clauses)


def _kind(path: Clause) -> str:
    return f"json_type(items.metadata, {path.sql})"


def _value(path: Clause) -> str:
    return f"json_extract(items.metadata, {path.sql})"


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _joined(clauses: Sequence[Clause], word: str) -> Clause:
    values = tuple(value for clause in clauses for value in clause.values)
    return Clause(word.join(f"({clause.sql})" for clause in clauses), values)


def _path(field: str) -> Clause:
    """Return SQLite's path to a field; a name with dots is a nested field, or else one key."""
    whole, nested = _keys(field), _keys(*field.split("."))
    if whole == nested:
        return Clause("?", (whole,))
    sql = "iif(json_type(items.metadata, ?) IS NULL, ?, ?)"
    return Clause(sql, (nested, whole, nested))


def _keys(*names: str) -> str:
    """Return a path of keys. They are quoted: ``$[0]`` would mean a list's first."""
    return "$" + "".join(f".{json.dumps(name, ensure_ascii=False)}" for name in names)
