"""Filters as Milvus's boolean expressions on the fields ``metadata`` and ``marks``.

Conditions that Milvus would interpret differently are left out. So an expression may match more
items than the filter, never fewer, and results are checked again with ``passes``. ``not`` is left
out too: the negation of an expression that matches more would match fewer.
"""

import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import JsonValue

from app.schemas.filters import OPERATORS, AnyOf, Condition, Prefix, Range, Scalar, Where

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gte": operator.ge,
    "gt": operator.gt,
    "lte": operator.le,
    "lt": operator.lt,
}
LARGEST_EXACT = 2**53  # larger integers are rounded by a float64


def to_expression(where: Where | None) -> str:
    """Return an expression that every item that matches ``where`` matches; "" matches all."""
    if where is None:
        return ""
    return where.fold({"and": both, "or": either, "not": lambda _: ""}, _of_field)


def both(clauses: Iterable[str]) -> str:
    """Return the conjunction of the clauses; "" among them matches all."""
    return " and ".join(f"({clause})" for clause in clauses if clause)


def either(clauses: Sequence[str]) -> str:
    """Return the disjunction of the clauses; "" among them matches all."""
    return " or ".join(f"({clause})" for clause in clauses) if all(clauses) else ""


def has_all(terms: Iterable[int]) -> str:
    """Return the expression that an item has all index terms."""
    return f"array_contains_all(marks, {sorted(set(terms))})"


def has_any(terms: Iterable[int]) -> str:
    """Return the expression that an item has at least one of the index terms."""
    return f"array_contains_any(marks, {sorted(set(terms))})"


def passes(where: Where, metadata: Mapping[str, JsonValue]) -> bool:
    """Return whether an item with ``metadata`` matches ``where``, as ``where_sql`` does in SQL."""
    combine = {"and": all, "or": any, "not": lambda parts: not any(parts)}
    return where.fold(combine, partial(_holds, metadata))


def _of_field(field: str, condition: Condition) -> str:
    """Return the clause of one condition on the nested field or the key with dots."""
    paths = sorted({_path(*field.split(".")), _path(field)})
    return either([_condition(path, condition) for path in paths])


def _condition(path: str, condition: Condition) -> str:
    """Return the clause of one condition; "" if Milvus cannot express it."""
    match condition:
        case Range():
            return _range(path, condition)
        case AnyOf():
            return _any_of(path, condition.any_of)
        case Prefix():
            return _prefix(path, condition.prefix)


def _any_of(path: str, values: list[Scalar]) -> str:
    if not all(_is_plain(value) for value in values):
        return ""
    clauses = [
        f"(not exists {path}) or ({path} is null)"
        if value is None
        else f"{path} == {_literal(value)}"
        for value in values
    ]
    if elements := ", ".join(_literal(value) for value in values if value is not None):
        clauses.append(f"json_contains_any({path}, [{elements}])")
    return either(clauses)


def _range(path: str, condition: Range) -> str:
    return both(
        f"{path} {OPERATORS[name]} {_literal(bound)}"
        for name, bound in condition.bounds.items()
        if _is_plain(bound)
    )


def _prefix(path: str, prefix: str) -> str:
    """Return the clause that a text starts with ``prefix``, whose wildcards match more."""
    return f"{path} like {_literal(prefix + '%')}" if _is_plain(prefix) else ""


def _is_plain(value: Scalar) -> bool:
    """Return whether Milvus reads a literal as we do: no escapes, no rounding."""
    if isinstance(value, str):
        return value.isprintable() and '"' not in value and "\\" not in value
    return value is None or abs(value) <= LARGEST_EXACT


def _literal(value: Scalar) -> str:
    return json.dumps(value, ensure_ascii=False)


def _path(*names: str) -> str:
    return "metadata" + "".join(f"[{_literal(name)}]" for name in names)


def _holds(metadata: Mapping[str, JsonValue], field: str, condition: Condition) -> bool:
    value = _value(metadata, field)
    match condition:
        case Range():
            return _is_between(value, condition)
        case AnyOf():
            return any(_equals(value, other) for other in condition.any_of)
        case Prefix():
            return isinstance(value, str) and value.startswith(condition.prefix)


def _equals(value: JsonValue, other: Scalar) -> bool:
    """Return whether a value is the same as another, or a list that contains it."""
    if isinstance(value, list):
        return other is not None and any(_is_same(each, other) for each in value)
    return _is_same(value, other)


def _is_same(value: JsonValue, other: Scalar) -> bool:
    """Compare as JSON does: true is not 1, but 1 is 1.0."""
    return _type(value) is _type(other) and value == other


def _is_between(value: JsonValue, condition: Range) -> bool:
    bounds = condition.bounds
    if _type(value) is not _type(next(iter(bounds.values()))):
        return False
    return all(COMPARE[name](value, bound) for name, bound in bounds.items())


def _type(value: JsonValue) -> type:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float if is_number else type(value)


def _value(metadata: Mapping[str, JsonValue], field: str) -> JsonValue:
    """Return the value of a field, or None; with dots, of the nested one, or else of the key."""
    value: JsonValue = dict(metadata)
    for part in field.split("."):
        if not isinstance(value, dict) or part not in value:
            return metadata.get(field)
        value = value[part]
    return value
