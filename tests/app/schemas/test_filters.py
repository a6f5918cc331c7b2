import pytest
from pydantic import ValidationError

from app.schemas.filters import MAX_VALUES, Where


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"album": "farm"},
        {"a": None, "b": True, "c": 1, "d": 1.5},
        {"year": {"gte": 2019, "lt": 2021.5}, "day": {"gt": "2019-05"}},
        {"place.city": {"any_of": ["x", 1, None]}, "ünïcode name": {"prefix": "a"}},
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
        ({str(n): n for n in range(33)}, "at most 32 items"),
    ],
)
def test_what_no_filter_can_mean_is_refused(where: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Where.model_validate(where)
