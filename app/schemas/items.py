"""What /items takes and answers."""

from pydantic import BaseModel, Field

from app.schemas.encoding import EncodeResponse
from app.schemas.fields import Body, ItemId, Metadata
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


class ItemResponse(EncodeResponse):
    """An indexed item."""

    id: ItemId
    text: str | None = Field(description="Sentence of a text item, otherwise null")
    sha256: str = Field(description="Digest of the indexed media or sentence")
    metadata: Metadata
    has_media: bool = Field(description="Whether GET /items/{id}/media returns the media")
    has_thumbnail: bool = Field(description="Whether GET /items/{id}/thumbnail returns a picture")


class ItemPage(BaseModel):
    """A page of items, ordered by id."""

    items: list[ItemResponse]
    next_cursor: str | None = Field(description="``cursor`` of the next page; null on the last")


class DuplicateStream(BaseModel):
    """A stream of another item with the same codes."""

    id: ItemId
    modality: Modality


class DuplicatesResponse(BaseModel):
    """Streams of other items with the same codes as a stream of this item, by id."""

    id: ItemId
    duplicates: list[DuplicateStream]
