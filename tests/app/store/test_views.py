from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.store.base import Item, Stream
from app.store.sqlite import views
from app.store.sqlite.database import ItemDatabase
from model.modality import Modality

CODES = np.zeros((2, 3), np.int16)


@given(
    items=st.dictionaries(
        st.text(min_size=1, max_size=3),
        st.sets(st.sampled_from(Modality), min_size=1),
        min_size=1,
        max_size=9,
    ),
    limit=st.integers(1, 12),
    seed=st.integers(0, 99),
    many=st.sampled_from([0, 100]),
    batch=st.sampled_from([1, 2, 100]),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_first_streams_are_those_of_the_first_ids_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    items: dict[str, set[Modality]],
    limit: int,
    seed: int,
    many: int,
    batch: int,
) -> None:
    monkeypatch.setattr(views, "MANY", many)
    monkeypatch.setattr(views, "BATCH", batch)
    path: Path = tmp_path_factory.mktemp("views") / "items.sqlite3"
    database = ItemDatabase(path, fingerprint="aa", read_only=False)
    stored_items = [
        Item(item_id, {m: Stream(CODES, 3.0) for m in modalities}, {}, None, "0" * 64)
        for item_id, modalities in items.items()
    ]
    database.put_all(stored_items, replace=False)
    with database.view() as view:
        keys = [key for own in view.code_batches() for key in own.keys.tolist()]
        stored = view.of_streams(keys)
        wanted = [key for key in keys if hash((key, seed)) % 3]
        found = view.first(np.array(wanted, np.int64), limit=limit) if wanted else []
    database.close()
    order = sorted(
        wanted, key=lambda key: (stored[key].item.id, list(Modality).index(stored[key].keys[key]))
    )
    assert found == order[:limit]
