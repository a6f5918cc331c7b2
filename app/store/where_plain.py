"""Filters on metadata, asked of the metadata themselves: what ``where_sql`` says, in Python."""

from collections.abc import Mapping

from pydantic import JsonValue

from app.schemas.filters import AnyOf, Condition, Prefix, Range, Scalar, Where


def passes(where: Where, metadata: Mapping[str, JsonValue]) -> bool:
    """Tell whether an item with ``metadata`` passes ``where``."""
    return all(
        _holds(condition, _value(metadata, field)) for field, condition in where.root.items()
    )


def _holds(condition: Condition, value: JsonValue) -> bool:
    match condition:
        case Range():
            return _is_between(value, condition)
        case AnyOf():
            return any(_is_same(value, own) for own in condition.any_of)
        case Prefix():
            return isinstance(value, str) and value.startswith(condition.prefix)
        case _:
            return _is_same(value, condition)


def _is_same(value: JsonValue, other: Scalar) -> bool:
    """Compare as JSON does: true is not 1, but 1 is 1.0."""
    return _kind(value) is _kind(other) and value == other


def _is_between(value: JsonValue, condition: Range) -> bool:
    bounds = condition.bounds
    if _kind(value) is not _kind(next(iter(bounds.values()))):
        return False
    is_within = {
        "gte": lambda bound: value >= bound,
        "gt": lambda bound: value > bound,
        "lte": lambda bound: value <= bound,
        "lt": lambda bound: value < bound,
    }
    return all(is_within[name](bound) for name, bound in bounds.items())


def _kind(value: JsonValue) -> type:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float if is_number else type(value)


def _value(metadata: Mapping[str, JsonValue], field: str) -> JsonValue:
    """Return what stands in a field; None where nothing does."""
    value: JsonValue = dict(metadata)
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
