"""What /items takes and answers."""

from pydantic import BaseModel, Field

from app.schemas.encoding import EncodeResponse
from app.schemas.fields import Body, ItemId, Metadata
from app.schemas.sources import Media, Sentence, Upload
from model.modality import Modality


class _ItemFields(Body):
    metadata: Metadata = Field(default_factory=dict, description="A JSON object of your own")


class PutSentence(_ItemFields, Sentence):
    """A sentence to keep under the id of the path."""


class PutUpload(_ItemFields, Upload):
    """A clip, sound or picture to keep under the id of the path."""


class PutMedia(_ItemFields, Media):
    """A clip, sound or picture, inside the JSON, to keep under the id of the path."""


class AddSentence(PutSentence):
    """A sentence to keep."""

    id: ItemId


class AddUpload(PutUpload):
    """A clip, sound or picture to keep."""

    id: ItemId


class AddMedia(PutMedia):
    """A clip, sound or picture, inside the JSON, to keep."""

    id: ItemId


class ItemResponse(EncodeResponse):
    """An item of the index."""

    id: ItemId
    text: str | None = Field(description="The sentence of a text item, else null")
    sha256: str = Field(description="Digest of the media or sentence that was indexed")
    metadata: Metadata
    has_media: bool = Field(description="Whether GET /items/{id}/media has the media")
    has_thumbnail: bool = Field(description="Whether GET /items/{id}/thumbnail has a picture")


class ItemPage(BaseModel):
    """A part of all items, in the order of their ids."""

    items: list[ItemResponse]
    next_cursor: str | None = Field(description="``cursor`` of the next page; null on the last")


class DuplicateStream(BaseModel):
    """A stream of another item that has the same codes."""

    id: ItemId
    modality: Modality


class DuplicatesResponse(BaseModel):
    """The streams of other items with the codes of one of this item's streams, by id."""

    id: ItemId
    duplicates: list[DuplicateStream]
