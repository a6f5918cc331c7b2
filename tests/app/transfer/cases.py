"""Items of every kind, for round trips."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.schemas.fields import ItemId
from app.store.base import Item, Stream
from model.encoder import Vocabulary
from model.modality import Modality

ROWS, SIZE = 2, 1500  # codes of three digits and of four
ID = TypeAdapter(ItemId)
VOCABULARY = Vocabulary(np.ones((ROWS, SIZE, 2), np.float32), np.array([1, 2]))


def is_id(text: str) -> bool:
    try:
        ID.validate_python(text)
    except ValidationError:
        return False
    return True


def make_item(item_id: str = "one", *modalities: Modality, steps: int = 3) -> Item:
    rng = np.random.default_rng(len(item_id))
    streams = {
        m: Stream(rng.integers(0, SIZE, (ROWS, steps)).astype(np.int16), 2.5)
        for m in modalities or (Modality.AUDIO,)
    }
    return Item(item_id, streams, {"album": "farm"}, None, "0" * 64)


def plain(item: Item) -> object:
    """All that there is to an item, to be compared."""
    streams = {
        m: (own.codes.tolist(), own.codes.dtype, own.duration_seconds)
        for m, own in item.streams.items()
    }
    return item.id, streams, dict(item.metadata), item.text, item.sha256


ANY_CODES = st.integers(1, 5).flatmap(
    lambda steps: st.lists(
        st.lists(st.integers(0, SIZE - 1), min_size=steps, max_size=steps),
        min_size=ROWS,
        max_size=ROWS,
    )
)
ANY_STREAM = st.builds(
    lambda codes, seconds: Stream(np.array(codes, np.int16), seconds),
    ANY_CODES,
    st.none() | st.floats(0, 1e9),
)
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ANY_ITEM = st.builds(
    Item,
    id=st.text(min_size=1, max_size=255).filter(is_id),
    streams=st.dictionaries(st.sampled_from(Modality), ANY_STREAM, min_size=1),
    metadata=st.dictionaries(st.text(), ANY_JSON, max_size=4),
    text=st.none() | st.text(),
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
)


def lines_of(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path
