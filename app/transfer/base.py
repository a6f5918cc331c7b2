"""The interface of an export format: items to rows of a file, and back.

Shape letters: C code rows, T steps.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, BinaryIO, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, ValidationError

from app.errors import InvalidRequest
from app.schemas.fields import ItemId, Metadata
from app.store.base import Item, Stream
from model.errors import reason_of
from model.modality import Modality

Raw = TypeVar("Raw")


class ExportedItem(NamedTuple):
    """An item of a file."""

    item: Item
    fingerprint: str  # of the checkpoint that it was encoded with


class Reader(ABC, Generic[Raw]):
    """Reads items from a file."""

    @abstractmethod
    def rows(self, path: Path) -> Iterator[Raw]:
        """Yield the rows of a file, one per item.

        Raises:
            InvalidRequest: The file is not of this format.
        """

    @abstractmethod
    def parse(self, row: Raw) -> ExportedItem:
        """Return the item of a row.

        Raises:
            InvalidRequest: Exports have no such rows.
        """


class Format(Reader[Raw]):
    """Writes items too. Holds at most a few thousand of them in memory."""

    @abstractmethod
    def write(self, items: Iterable[Item], file: BinaryIO, *, fingerprint: str) -> None:
        """Write ``items`` to an empty file."""


class ItemFields(BaseModel):
    """An item without its codes, which each format stores differently."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    id: ItemId
    text: str | None
    metadata: Metadata
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    duration_seconds: dict[Modality, NonNegativeFloat | None]  # None: a picture or a sentence
    fingerprint: str


def item_of(
    fields: Mapping[str, object], codes: Mapping[Modality, NDArray[np.int16]]
) -> ExportedItem:
    """Return the item of a row.

    Args:
        fields: Those of ``ItemFields``.
        codes: ``[C, T]`` by modality.

    Raises:
        InvalidRequest: A field is missing, unknown or invalid.
    """
    try:
        row = ItemFields.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest(reason_of(error)) from None
    if not codes or row.duration_seconds.keys() != codes.keys():
        raise InvalidRequest(
            f"duration_seconds is of {sorted(row.duration_seconds)}, but there are codes of "
            f"{sorted(codes)}"
        )
    streams = {m: Stream(rows, row.duration_seconds[m]) for m, rows in codes.items()}
    return ExportedItem(Item(row.id, streams, row.metadata, row.text, row.sha256), row.fingerprint)


def parsed_json(text: str | bytes) -> object:
    """Return the value of a JSON text.

    Raises:
        InvalidRequest: It is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"not JSON ({error}): {text[:80]!r}") from None
