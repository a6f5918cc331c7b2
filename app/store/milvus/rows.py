"""An item as a row of Milvus's collection, and back.

The field ``item`` holds all of it, as JSON; the others are what it is found by. The primary key
is the id's UTF-8 in hexadecimal digits: it has the order of ids, and no id can be taken for a part
of an expression.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import JsonValue

from app.errors import TooLarge
from app.store.base import Item, Stream
from app.store.milvus.index_terms import Marks
from app.store.milvus.vectors import SparseSpace
from model.modality import Modality

MAX_TEXT_BYTES = 65_535  # of a text field, Milvus's own limit
MAX_MARKS = 4096  # of an array field, Milvus's own limit
MAX_ID_BYTES = 4 * 255  # four bytes for each character at most
HUGE = 2**1000  # what a float can still hold

Row = dict[str, Any]  # by field


def key_of(item_id: str) -> str:
    """Return the primary key of an item."""
    return item_id.encode().hex()


def row_of(item: Item, *, space: SparseSpace, marks: Marks) -> Row:
    """Return the row that keeps an item.

    Raises:
        TooLarge: Milvus does not take an item of that size.
    """
    row = {
        "id": key_of(item.id),
        "item": _text(item),
        "metadata": _filterable(item.metadata),
        "codes": space.item(item.streams),
        "marks": marks.item(item.streams),
    }
    size, count = len(row["item"]), len(row["marks"])
    if size > MAX_TEXT_BYTES or count > MAX_MARKS:
        raise TooLarge(
            f"item {item.id!r} takes {size} bytes and has {count} different codes and steps, of "
            f"which Milvus keeps {MAX_TEXT_BYTES} and {MAX_MARKS}: give less metadata, or cut the "
            "media (SRCID_MAX_STEPS)"
        )
    return row


def item_of(row: Mapping[str, Any]) -> Item:
    """Return the item that a row keeps."""
    own = json.loads(row["item"])
    streams = {
        Modality(modality): Stream(
            np.frombuffer(base64.b64decode(codes), "<i2").astype(np.int16).reshape(rows, -1),
            duration,
        )
        for modality, (rows, codes, duration) in own["streams"].items()
    }
    return Item(own["id"], streams, own["metadata"], own["text"], own["sha256"])


def _text(item: Item) -> str:
    """Return an item as JSON, in ASCII."""
    streams = {
        modality: (
            len(own.codes),
            base64.b64encode(own.codes.astype("<i2").tobytes()).decode(),
            own.duration_seconds,
        )
        for modality, own in item.streams.items()
    }
    return json.dumps(
        {
            "id": item.id,
            "sha256": item.sha256,
            "text": item.text,
            "metadata": dict(item.metadata),
            "streams": streams,
        },
        separators=(",", ":"),
    )


def _filterable(metadata: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what filters can ask for of metadata: no lists, and no numbers beyond Milvus's."""
    found: dict[str, JsonValue] = {}
    for name, value in metadata.items():
        if isinstance(value, dict):
            found[name] = _filterable(value)
        elif isinstance(value, str):
            found[name] = value.encode("utf-8", "replace").decode()
        elif isinstance(value, int) and not isinstance(value, bool):
            found[name] = value if abs(value) < 2**63 else float(min(max(value, -HUGE), HUGE))
        elif not isinstance(value, list):
            found[name] = value
    return found
