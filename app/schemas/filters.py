"""Filters on an item's metadata, as they travel over the wire.

``{"album": "farm", "year": {"gte": 2020}, "place.city": {"prefix": "San "}}``: a field, nested
ones by dots, and what it has to be. An item passes when all of its conditions hold. A value, or one
of ``any_of``, also matches a list that contains it. A name with dots is looked up as nested fields,
or else as one key that has the dots in it.

``and``, ``or`` and ``not`` with a list of filters combine these: all of them, at least one or none
has to hold. ``{"or": [{"album": "farm"}, {"year": 2020}], "not": [{"draft": true}]}``. No condition
on a field is a list, so fields of these names can be filtered too.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    RootModel,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
    WithJsonSchema,
    model_validator,
)

COMBINATIONS = ("and", "or", "not")
MAX_CONDITIONS = 32
MAX_VALUES = 100
MAX_FIELD_CHARACTERS = 255


def _usable_field(name: str) -> str:
    if not all(name.split(".")) or '"' in name or "\\" in name or not name.isprintable():
        raise ValueError(
            'a field is one name or several with dots between ("place.city"), without quotation '
            "marks, backslashes or control characters"
        )
    return name


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a text to compare with must not contain the character NUL")
    return text


FieldName = Annotated[
    str, Field(min_length=1, max_length=MAX_FIELD_CHARACTERS), AfterValidator(_usable_field)
]
Integer = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
Real = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Text = Annotated[StrictStr, AfterValidator(_without_nul)]
Scalar = StrictBool | Integer | Real | Text | None
Bound = Integer | Real | Text


class _Condition(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Condition):
    """Numbers, or texts compared by characters, within bounds of the same type."""

    gte: Bound | None = Field(None, description="Greater than or equal")
    gt: Bound | None = Field(None, description="Greater than")
    lte: Bound | None = Field(None, description="Less than or equal")
    lt: Bound | None = Field(None, description="Less than")

    @property
    def bounds(self) -> dict[str, int | float | str]:
        """The given bounds, by name."""
        return {name: value for name, value in self if value is not None}

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        if len({isinstance(bound, str) for bound in self.bounds.values()}) != 1:
            raise ValueError("give at least one of gte, gt, lte and lt: all numbers, or all texts")
        return self


class AnyOf(_Condition):
    """One of several values."""

    any_of: list[Scalar] = Field(min_length=1, max_length=MAX_VALUES)


class Prefix(_Condition):
    """A text with this prefix, case-sensitive."""

    prefix: Annotated[Text, Field(min_length=1)]


def _kind(condition: object) -> str:
    """Tell which kind of condition is meant, so that an error is about that one only."""
    if isinstance(condition, list):
        return "filters"
    if isinstance(condition, _Condition):
        condition = type(condition).model_fields
    if not isinstance(condition, dict):
        return "value"
    return next((name for name in ("any_of", "prefix") if name in condition), "range")


Filters = Annotated[
    list["Where"],
    Field(min_length=1),
    # Not as a reference to the filter that contains it, which tools would follow without end.
    WithJsonSchema({"type": "array", "items": {"type": "object"}, "minItems": 1}),
]
Condition = Range | AnyOf | Prefix
Part = TypeVar("Part")
Filter = Mapping[str, JsonValue]  # a ``Where`` as its JSON, in Python
# The bounds of a range as operators, which SQL and Milvus write alike.
OPERATORS = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<"}


class Where(
    RootModel[
        dict[
            FieldName,
            Annotated[
                Annotated[Scalar, Tag("value")]
                | Annotated[Range, Tag("range")]
                | Annotated[AnyOf, Tag("any_of")]
                | Annotated[Prefix, Tag("prefix")]
                | Annotated[Filters, Tag("filters")],
                Discriminator(_kind),
            ],
        ]
    ]
):
    """What an item's metadata has to be: every condition must hold.

    A plain value is compared as it is: the text "1" is not the number 1, nor is true; null holds
    where the field is null or not there. A list matches each value but null that it contains. A
    field with dots is a nested one, or else a key with dots. "and", "or" and "not" take a list of
    filters.
    """

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {"album": "farm", "year": {"gte": 2020}},
                {"or": [{"album": "farm"}, {"tags": "cow"}], "not": [{"draft": True}]},
            ]
        },
    )

    def fold(
        self,
        combine: Mapping[str, Callable[[Sequence[Part]], Part]],
        leaf: Callable[[str, Condition], Part],
    ) -> Part:
        """Return the filter in another language.

        Args:
            combine: By the names in ``COMBINATIONS``, what combines translated parts.
            leaf: Translates the condition on one field; a plain value comes as ``AnyOf``.
        """
        parts = []
        for name, condition in self.root.items():
            if isinstance(condition, list):
                parts.append(combine[name]([where.fold(combine, leaf) for where in condition]))
            elif isinstance(condition, _Condition):
                parts.append(leaf(name, condition))
            else:
                parts.append(leaf(name, AnyOf(any_of=[condition])))
        return combine["and"](parts)

    @property
    def size(self) -> int:
        """The number of conditions, those of nested filters included."""
        nested = [each for each in self.root.values() if isinstance(each, list)]
        return len(self.root) + sum(where.size for filters in nested for where in filters)

    @model_validator(mode="before")
    @classmethod
    def _has_lists_where_they_belong(cls, fields: object) -> object:
        for name, condition in fields.items() if isinstance(fields, dict) else ():
            if isinstance(condition, list) and name not in COMBINATIONS:
                raise ValueError(
                    f'the condition on {name!r} is a list: give {{"any_of": [...]}} for one of '
                    f"several values; only {', '.join(COMBINATIONS)} take a list, of filters"
                )
        return fields

    @model_validator(mode="after")
    def _is_small(self) -> Self:
        if self.size > MAX_CONDITIONS:
            raise ValueError(
                f"the filter has {self.size} conditions, nested ones included: give at most "
                f"{MAX_CONDITIONS}; any_of takes up to {MAX_VALUES} values"
            )
        return self
