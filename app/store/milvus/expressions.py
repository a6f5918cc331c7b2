"""Filters as Milvus's boolean expressions over the fields ``metadata`` and ``marks``.

What Milvus would read in another way is left out, so an expression may let through more than the
filter does, never less: whoever uses one asks ``where_plain.passes`` of what comes back.
"""

import json
from collections.abc import Iterable

from app.schemas.filters import AnyOf, Condition, Prefix, Range, Scalar, Where

OPERATORS = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<"}
LARGEST_EXACT = 2**53  # beyond it a float64 is not the whole number that was written


def compiled(where: Where | None) -> str:
    """Return an expression that holds for every item that passes ``where``; "" holds for all."""
    if where is None:
        return ""
    return both(_condition(_path(field), own) for field, own in where.root.items())


def both(clauses: Iterable[str]) -> str:
    """Return the expression that all of the clauses hold; "" among them holds for all."""
    return " and ".join(f"({clause})" for clause in clauses if clause)


def either(clauses: Iterable[str]) -> str:
    """Return the expression that one of the clauses holds; none of them is ""."""
    return " or ".join(f"({clause})" for clause in clauses)


def has_all(marks: Iterable[int]) -> str:
    """Return the expression that an item has all of the marks."""
    return f"array_contains_all(marks, {sorted(set(marks))})"


def has_any(marks: Iterable[int]) -> str:
    """Return the expression that an item has one of the marks."""
    return f"array_contains_any(marks, {sorted(set(marks))})"


def _condition(path: str, condition: Condition) -> str:
    """Return the clause of one condition; "" where Milvus cannot be asked."""
    match condition:
        case Range():
            return _range(path, condition)
        case AnyOf():
            return _any_of(path, condition.any_of)
        case Prefix():
            return _prefix(path, condition.prefix)
        case _:
            return _any_of(path, [condition])


def _any_of(path: str, values: list[Scalar]) -> str:
    if not all(_is_plain(value) for value in values):
        return ""
    return either(
        f"(not exists {path}) or ({path} is null)"
        if value is None
        else f"{path} == {_literal(value)}"
        for value in values
    )


def _range(path: str, condition: Range) -> str:
    return both(
        f"{path} {OPERATORS[name]} {_literal(bound)}"
        for name, bound in condition.bounds.items()
        if _is_plain(bound)
    )


def _prefix(path: str, prefix: str) -> str:
    """Ask for texts that begin so; a wildcard in ``prefix`` lets through more."""
    return f"{path} like {_literal(prefix + '%')}" if _is_plain(prefix) else ""


def _is_plain(value: Scalar) -> bool:
    """Tell whether Milvus reads a literal as we do: no escapes, no rounding."""
    if isinstance(value, str):
        return value.isprintable() and '"' not in value and "\\" not in value
    return value is None or abs(value) <= LARGEST_EXACT


def _literal(value: Scalar) -> str:
    return json.dumps(value, ensure_ascii=False)


def _path(field: str) -> str:
    return "metadata" + "".join(f"[{_literal(part)}]" for part in field.split("."))
