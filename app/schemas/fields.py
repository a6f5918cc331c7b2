"""The fields that several bodies share, and the limits on what one request may hold."""

import hashlib
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
DIGEST_CHARACTERS = 16  # of ids that are derived from longer ones
MAX_HITS = 1000
MAX_PAGE = 500
MAX_BATCH = 100  # items of one call of /encode/batch
MAX_PARTS = 8  # that a search adds, takes away or leaves out, of each
MAX_PATTERN = 64  # steps of an n-gram
MAX_INPUTS = 2048  # of one call of /v1/embeddings, as many as OpenAI takes


def _usable_id(value: str) -> str:
    """Refuse what no address can name, and NUL, which databases and file systems do not take."""
    if value in {".", ".."}:
        raise ValueError("an id is neither . nor ..: in an address they mean folders")
    if "\0" in value:
        raise ValueError("an id must not contain the control character NUL")
    return value


def shortened(text: str, *, limit: int = MAX_ID_CHARACTERS) -> str:
    """Return a text of at most ``limit`` characters: a longer one ends with its digest instead."""
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARACTERS]
    return f"{text[: limit - 1 - len(digest)]}~{digest}"


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
