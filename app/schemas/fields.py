"""The fields that several bodies share, and the limits on what one request may hold."""

import unicodedata
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
)

from model.modality import Modality

MAX_ID_CHARACTERS = 255
MAX_HITS = 1000
MAX_PAGE = 500
MAX_BATCH = 100  # items of one call of /encode/batch
MAX_PARTS = 8  # that a search adds, takes away or leaves out, of each
MAX_PATTERN = 64  # steps of an n-gram
MAX_INPUTS = 256  # of one call of /v1/embeddings


def _usable_id(value: str) -> str:
    """Refuse what could not stand as one part of an URL's path, or not be seen on a screen."""
    if "/" in value or "\\" in value or value in {".", ".."}:
        raise ValueError("an id must not contain / or \\ and is neither . nor ..")
    if value != value.strip() or any(unicodedata.category(c)[0] == "C" for c in value):
        raise ValueError("an id must not begin or end with a space or contain control characters")
    return value


def _as_text(value: object) -> object:
    """Let ``layers`` be the number 1 as well as the text "1"."""
    return str(value) if isinstance(value, int) else value


def _split(value: object) -> object:
    """Let a form give several targets as one field: ``audio,video``."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list):
        return value
    return [
        name.strip() if isinstance(name, str) else name
        for part in parts
        for name in (part.split(",") if isinstance(part, str) else [part])
    ]


ItemId = Annotated[
    str,
    Field(min_length=1, max_length=MAX_ID_CHARACTERS, examples=["my-clip"]),
    AfterValidator(_usable_id),
]
ITEM_ID = TypeAdapter(ItemId)
Metadata = dict[str, JsonValue]
Layers = Annotated[Literal["1", "2", "both"], BeforeValidator(_as_text)]
Score = Literal["mean", "max", "window"]
Targets = Annotated[list[Modality], Field(min_length=1, max_length=16), BeforeValidator(_split)]


class Body(BaseModel):
    """A request. Unknown fields are errors, so that typos are noticed."""

    model_config = ConfigDict(extra="forbid")
