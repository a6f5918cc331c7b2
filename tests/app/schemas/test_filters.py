import pytest
from pydantic import ValidationError

from app.schemas.filters import MAX_VALUES, Where


def nested(depth: int) -> dict[str, object]:
    where: dict[str, object] = {}
    for _ in range(depth):
        where = {"not": [where]}
    return where


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"album": "farm"},
        {"a": None, "b": True, "c": 1, "d": 1.5},
        {"year": {"gte": 2019, "lt": 2021.5}, "day": {"gt": "2019-05"}},
        {"place.city": {"any_of": ["x", 1, None]}, "ünïcode name": {"prefix": "a"}},
        {"or": [{"a": 1}, {"and": [{"b": {"lt": 2}}, {}]}], "not": [{"c": None}]},
        {"or": "a field", "not": {"gte": 3}},
    ],
)
def test_a_filter_comes_back_as_it_was_given(where: dict[str, object]) -> None:
    assert Where.model_validate(where).model_dump(exclude_none=False, exclude_unset=True) == where


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"a..b": 1}, "one name or several with dots"),
        ({'a"': 1}, "without quotation marks"),
        ({"": 1}, "at least 1 character"),
        ({"a\x00": 1}, "control characters"),
        ({"a": {}}, "at least one of gte"),
        ({"a": {"gte": 1, "lt": "b"}}, "all numbers, or all texts"),
        ({"a": {"gte": True}}, "valid integer"),
        ({"a": {"prefix": ""}}, "at least 1 item"),
        ({"a": {"prefix": "x\x00"}}, "character NUL"),
        ({"a": {"any_of": []}}, "at least 1 item"),
        ({"a": {"any_of": [1] * (MAX_VALUES + 1)}}, f"at most {MAX_VALUES} items"),
        ({"a": {"above": 3}}, "Extra inputs"),
        ({"a": float("inf")}, "finite"),
        ({str(n): n for n in range(33)}, "has 33 conditions, .* at most 32"),
        ({"or": [{str(n): n for n in range(16)}] * 2}, "has 33 conditions, nested"),
        (nested(33), "has 33 conditions"),
        (nested(1000), "has 33 conditions|recursion|at most"),
        ({"or": []}, "at least 1 item"),
        ({"or": [1]}, "valid dictionary"),
        ({"or": [{"a": {"above": 3}}]}, r"or\.filters\.0\.a\.range\.above\s+Extra inputs"),
        ({"tags": ["a", "b"]}, "'tags' is a list: give {\"any_of\""),
    ],
)
def test_what_no_filter_can_mean_is_refused(where: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Where.model_validate(where)
