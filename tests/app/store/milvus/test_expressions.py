"""Filters asked of metadata in Python and of the same metadata in SQLite agree."""

import json
import sqlite3

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
    st.sampled_from("ab"),
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
        ),
        max_leaves=4,
    ),
)


@given(METADATA, st.dictionaries(FIELDS, CONDITIONS, max_size=2))
def test_python_and_sqlite_let_the_same_metadata_pass(
    metadata: dict[str, object], conditions: dict[str, object]
) -> None:
    where = Where.model_validate(conditions)
    condition, values = to_sql(where)
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE TABLE items (metadata TEXT)")
        db.execute("INSERT INTO items VALUES (?)", (json.dumps(metadata),))
        found = db.execute(f"SELECT count(*) FROM items WHERE {condition}", values).fetchone()[0]
    db.close()
    assert passes(where, metadata) == bool(found)
