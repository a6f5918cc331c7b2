"""What /items takes and answers."""

from typing import TypedDict

from pydantic import BaseModel, Field

from app.schemas.encoding import EncodeResponse
from app.schemas.fields import MAX_PAGE, Body, ItemId, Metadata
from app.schemas.filters import Filter, Where
from app.schemas.sources import Media, Sentence, Upload
from model.modality import Modality


class _ItemFields(Body):
    metadata: Metadata = Field(default_factory=dict, description="Any JSON object")


class PutSentence(_ItemFields, Sentence):
    """A sentence to store under the id in the path."""


class PutUpload(_ItemFields, Upload):
    """A clip, sound or picture to store under the id in the path."""


class PutMedia(_ItemFields, Media):
    """A clip, sound or picture in the JSON, to store under the id in the path."""


class AddSentence(PutSentence):
    """A sentence to store."""

    id: ItemId


class AddUpload(PutUpload):
    """A clip, sound or picture to store."""

    id: ItemId


class AddMedia(PutMedia):
    """A clip, sound or picture in the JSON, to store."""

    id: ItemId


class MetadataChanges(Body):
    """Changes of an item's metadata, as a JSON Merge Patch (RFC 7396)."""

    metadata: Metadata = Field(
        description="Fields to set; null removes a field, and objects are merged",
        examples=[{"album": "town", "draft": None}],
    )


class ItemResponse(EncodeResponse):
    """An indexed item."""

    id: ItemId
    text: str | None = Field(description="Sentence of a text item, otherwise null")
    sha256: str = Field(description="Digest of the indexed media or sentence")
    metadata: Metadata
    has_media: bool = Field(description="Whether GET /items/{id}/media returns the media")
    has_thumbnail: bool = Field(description="Whether GET /items/{id}/thumbnail returns a picture")


class PageOptions(Body):
    """What to list: items by id, from behind ``after`` or else up to ``before``."""

    after: str = ""
    before: str | None = None  # if given, the last items in front of it
    limit: int = Field(50, ge=1, le=MAX_PAGE)
    where: Where | None = None


class PageFields(TypedDict, total=False):
    """The options of a page as keywords in Python; see ``PageOptions``."""

    after: str
    before: str | None
    limit: int
    where: Filter | None


class ItemPage(BaseModel):
    """A page of items, ordered by id."""

    items: list[ItemResponse]
    next_cursor: str | None = Field(description="``cursor`` of the next page; null on the last")
    previous_cursor: str | None = Field(
        description="``before`` of the previous page; null on the first"
    )


class DeletedItems(BaseModel):
    """The result of deleting by a filter."""

    deleted: int = Field(description="Number of deleted items, with the segments of long media")


class DuplicateStream(BaseModel):
    """A stream of another item with the same codes."""

    id: ItemId
    modality: Modality


class DuplicatesResponse(BaseModel):
    """Streams of other items with the same codes as a stream of this item, by id."""

    id: ItemId
    duplicates: list[DuplicateStream]
