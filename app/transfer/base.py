"""What a file format of the index is: items in, rows out, and back.

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


class Exported(NamedTuple):
    """An item as a file has it."""

    item: Item
    fingerprint: str  # of the checkpoint that it was encoded with


class Format(ABC, Generic[Raw]):
    """A row an item. Neither way holds more than some thousand items in memory."""

    @abstractmethod
    def write(self, items: Iterable[Item], file: BinaryIO, *, fingerprint: str) -> None:
        """Write ``items`` to an empty file."""

    @abstractmethod
    def rows(self, path: Path) -> Iterator[Raw]:
        """Yield the rows of a file.

        Raises:
            InvalidRequest: It is not of this format.
        """

    @abstractmethod
    def parse(self, row: Raw) -> Exported:
        """Return the item that a row says.

        Raises:
            InvalidRequest: It is not a row that ``write`` could have written.
        """


class Row(BaseModel):
    """An item but for its codes, which each format has in its own way."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    id: ItemId
    text: str | None
    metadata: Metadata
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    duration_seconds: dict[Modality, NonNegativeFloat | None]  # None: a picture or a sentence
    fingerprint: str


def exported(
    fields: Mapping[str, object], streams: Mapping[Modality, NDArray[np.int16]]
) -> Exported:
    """Return the item of a row.

    Args:
        fields: Those of ``Row``.
        streams: The codes ``[C, T]``.

    Raises:
        InvalidRequest: A field is missing or unknown, or is not what it should be.
    """
    try:
        row = Row.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest(reason_of(error)) from None
    if not streams or row.duration_seconds.keys() != streams.keys():
        raise InvalidRequest(
            f"duration_seconds is of {sorted(row.duration_seconds)}, but there are codes of "
            f"{sorted(streams)}"
        )
    own = {m: Stream(codes, row.duration_seconds[m]) for m, codes in streams.items()}
    return Exported(Item(row.id, own, row.metadata, row.text, row.sha256), row.fingerprint)


def parsed_json(text: str | bytes) -> object:
    """Return what JSON says.

    Raises:
        InvalidRequest: It is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"not JSON ({error}): {text[:80]!r}") from None
