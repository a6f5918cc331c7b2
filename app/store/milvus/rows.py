"""An item as a row of Milvus's collection, and back.

The field ``item`` holds all of it, as JSON; the other fields are for finding it. The primary key
is the id's UTF-8 in hexadecimal digits: it sorts like ids, and no id can be mistaken for a part of
an expression.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import JsonValue

from app.errors import TooLarge
from app.store.base import Item, Stream
from app.store.milvus.index_terms import IndexTerms
from app.store.milvus.vectors import SparseSpace
from model.modality import Modality

MAX_TEXT_BYTES = 65_535  # of a text field, Milvus's limit
MAX_TERMS = 4096  # of an array field, Milvus's limit
MAX_ID_BYTES = 4 * 255  # at most four bytes per character
HUGE = 2**1000  # fits into a float

MilvusRow = dict[str, Any]  # by field


def key_of(item_id: str) -> str:
    """Return the primary key of an item."""
    return item_id.encode().hex()


def row_of(item: Item, *, space: SparseSpace, terms: IndexTerms) -> MilvusRow:
    """Return the row of an item.

    Raises:
        TooLarge: The item exceeds Milvus's limits.
    """
    row = {
        "id": key_of(item.id),
        "item": _text(item),
        "metadata": _filterable(item.metadata),
        "codes": space.item(item.streams),
        "marks": terms.item(item.streams),  # the index terms; the name is part of LAYOUT
    }
    size, count = len(row["item"]), len(row["marks"])
    if size > MAX_TEXT_BYTES or count > MAX_TERMS:
        raise TooLarge(
            f"item {item.id!r} takes {size} bytes and has {count} different codes and steps, of "
            f"which Milvus stores {MAX_TEXT_BYTES} and {MAX_TERMS}: give less metadata, or cut the "
            "media (SRCID_MAX_STEPS)"
        )
    return row


def item_of(row: Mapping[str, Any]) -> Item:
    """Return the item of a row."""
    fields = json.loads(row["item"])
    streams = {
        Modality(modality): Stream(
            np.frombuffer(base64.b64decode(codes), "<i2").astype(np.int16).reshape(rows, -1),
            duration,
        )
        for modality, (rows, codes, duration) in fields["streams"].items()
    }
    return Item(fields["id"], streams, fields["metadata"], fields["text"], fields["sha256"])


def _text(item: Item) -> str:
    """Return an item as JSON, in ASCII."""
    streams = {
        modality: (
            len(stream.codes),
            base64.b64encode(stream.codes.astype("<i2").tobytes()).decode(),
            stream.duration_seconds,
        )
        for modality, stream in item.streams.items()
    }
    fields = {
        "id": item.id,
        "sha256": item.sha256,
        "text": item.text,
        "metadata": dict(item.metadata),
        "streams": streams,
    }
    return json.dumps(fields, separators=(",", ":"))


def _filterable(metadata: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the part of metadata that filters can use: no lists in lists or of objects."""
    fields: dict[str, JsonValue] = {}
    for name, value in metadata.items():
        if isinstance(value, dict):
            fields[name] = _filterable(value)
        elif isinstance(value, list):
            fields[name] = [_scalar(each) for each in value if not isinstance(each, list | dict)]
        else:
            fields[name] = _scalar(value)
    return fields


def _scalar(value: JsonValue) -> JsonValue:
    """Return a text, number, boolean or null as Milvus takes it."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return float(min(max(value, -HUGE), HUGE))
    return value
