"""Filters asked of metadata in Python and of the same metadata in SQLite agree."""

import json
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.schemas.filters import Where
from app.store.milvus.expressions import passes
from app.store.sqlite.where_sql import to_sql

FIELDS = st.sampled_from(["a", "b", "a.b", "b.a.b"])
NUMBERS = st.one_of(
    st.integers(-3, 3), st.sampled_from([0.5, 1.0, -2.5]), st.integers(-(2**63), 2**63 - 1)
)
TEXTS = st.sampled_from(["", "a", "b", "ab", "é", "a%", 'a"b', "A", "1", "\ud7ff", "\U0001f600"])
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
BOUNDS = st.sampled_from(["gte", "gt", "lte", "lt"])
CONDITIONS = st.one_of(
    SCALARS,
    st.builds(lambda values: {"any_of": values}, st.lists(SCALARS, min_size=1, max_size=4)),
    st.builds(lambda text: {"prefix": text}, TEXTS.filter(bool)),
    st.dictionaries(BOUNDS, NUMBERS, min_size=1, max_size=2),
    st.dictionaries(BOUNDS, TEXTS, min_size=1, max_size=2),
)
METADATA = st.dictionaries(
    st.sampled_from(["a", "b", "a.b", "b.a.b"]),
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
        ),
        max_leaves=4,
    ),
)


FILTERS = st.recursive(
    st.dictionaries(FIELDS, CONDITIONS, max_size=2),
    lambda inner: st.dictionaries(
        st.sampled_from(["and", "or", "not"]), st.lists(inner, min_size=1, max_size=2), max_size=2
    ),
    max_leaves=4,
)


@given(METADATA, FILTERS)
def test_python_and_sqlite_let_the_same_metadata_pass(
    metadata: dict[str, object], conditions: dict[str, object]
) -> None:
    where = Where.model_validate(conditions)
    assert passes(where, metadata) == passes_in_sqlite(where, metadata)


def passes_in_sqlite(where: Where, metadata: dict[str, object]) -> bool:
    condition, values = to_sql(where)
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE items (metadata TEXT)")
        db.execute("INSERT INTO items VALUES (?)", (json.dumps(metadata),))
        count = db.execute(f"SELECT count(*) FROM items WHERE {condition}", values).fetchone()[0]
    return bool(count)


MATCHES = [
    ({"tags": ["dog", 1, True]}, {"tags": "dog"}, True),
    ({"tags": ["dog", 1, True]}, {"tags": 1}, True),
    ({"tags": ["dog", 1, True]}, {"tags": {"any_of": ["cat", True]}}, True),
    ({"tags": ["dog", 1, True]}, {"tags": "1"}, False),
    ({"tags": ["dog", [1], {"a": 2}]}, {"tags": {"any_of": [1, 2]}}, False),
    ({"tags": [None]}, {"tags": None}, False),
    ({"tags": []}, {"tags": None}, False),
    ({"tags": [3]}, {"tags": {"gte": 1}}, False),
    ({"tags": {"x": "dog"}}, {"tags": "dog"}, False),
    ({"place.city": "Rome"}, {"place.city": "Rome"}, True),
    ({"place": {"city": "Rome"}}, {"place.city": "Rome"}, True),
    ({"place": {"city": "Oslo"}, "place.city": "Rome"}, {"place.city": "Rome"}, False),
    ({"place": {"city": None}, "place.city": "Rome"}, {"place.city": None}, True),
    ({"place": "Oslo", "place.city": ["Rome"]}, {"place.city": "Rome"}, True),
    ({"a.b": 3}, {"a.b": {"gte": 1, "lt": 4}}, True),
    ({"a.b": "roman"}, {"a.b": {"prefix": "rom"}}, True),
    ({}, {"not": [{"a": {"gte": 1}}]}, True),
    ({}, {"not": [{"a": {"prefix": "x"}}, {"a": 1}]}, True),
    ({"a": 1}, {"not": [{"a": {"gte": 1}}]}, False),
    ({"a": 1}, {"or": [{"b": {"lt": 9}}, {"a": 1}]}, True),
    ({"a": 1}, {"and": [{"b": None}, {"a": {"lt": 1}}]}, False),
]


@pytest.mark.parametrize(("metadata", "conditions", "does_match"), MATCHES)
def test_lists_match_what_they_contain_and_names_may_have_dots(
    metadata: dict[str, object], conditions: dict[str, object], does_match: bool
) -> None:
    where = Where.model_validate(conditions)
    assert passes(where, metadata) == does_match
    assert passes_in_sqlite(where, metadata) == does_match
