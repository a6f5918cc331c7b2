"""What travels over the wire: the bodies of requests and of answers.

Shape letters: C code rows (one a layer), T steps (seconds of media, or words of a sentence).
"""

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from model.modality import Modality

MAX_ID_CHARACTERS = 255
MAX_HITS = 1000
MAX_PAGE = 500


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
Metadata = dict[str, JsonValue]
Layers = Annotated[Literal["1", "2", "both"], BeforeValidator(_as_text)]
Targets = Annotated[list[Modality], Field(min_length=1), BeforeValidator(_split)]


class Body(BaseModel):
    """A request: a field that does not exist is an error, so that typing errors show."""

    model_config = ConfigDict(extra="forbid")


class Sentence(Body):
    """A request about a sentence."""

    text: str = Field(description="One sentence", examples=["a dog barks"])

    @property
    def source(self) -> str:
        """What is to be encoded."""
        return self.text


class Upload(Body):
    """A request about media: a video, a sound or a picture."""

    file: bytes = Field(
        description="A video, sound or picture", json_schema_extra={"format": "binary"}
    )

    @property
    def source(self) -> bytes:
        """What is to be encoded."""
        return self.file


class _OneStream(BaseModel):
    modality: Modality | None = Field(
        None, description="The only stream to use of a clip with picture and sound"
    )


class EncodeSentence(Sentence):
    """Encode a sentence."""

    @property
    def modality(self) -> None:
        """A sentence has but one stream."""
        return


class EncodeUpload(_OneStream, Upload):
    """Encode a clip, sound or picture."""


class _SearchOptions(BaseModel):
    targets: Targets | None = Field(
        None, description="Kinds of streams to search; all of them where left out"
    )
    k: int = Field(10, ge=1, le=MAX_HITS, description="Most hits in the answer")
    layers: Layers = Field("both", description="Layers of the codes that are compared")
    score: Literal["mean"] = Field("mean", description="Compares the means over all steps")


class SearchSentence(_SearchOptions, EncodeSentence):
    """Search by a sentence."""


class SearchUpload(_SearchOptions, EncodeUpload):
    """Search by a clip. With picture and sound, a hit's score is the better of the two's."""


class _ItemFields(BaseModel):
    metadata: Metadata = Field(default_factory=dict, description="A JSON object of your own")


class PutSentence(_ItemFields, Sentence):
    """A sentence to keep under the id of the path."""


class PutUpload(_ItemFields, Upload):
    """A clip, sound or picture to keep under the id of the path."""


class AddSentence(PutSentence):
    """A sentence to keep."""

    id: ItemId


class AddUpload(PutUpload):
    """A clip, sound or picture to keep."""

    id: ItemId


class StreamCodes(BaseModel):
    """One modality of a clip or sentence as codes."""

    codes: list[list[int]] = Field(
        description="[C, T]: a row a layer, a column a second (of text: a word)",
        examples=[[[12, 12, 80], [7, 391, 7]]],
    )


class EncodeResponse(BaseModel):
    """A clip or sentence as codes."""

    fingerprint: str = Field(description="The checkpoint that the codes belong to")
    duration_seconds: float | None = Field(description="Of the media; null for picture and text")
    streams: dict[Modality, StreamCodes]


class ItemResponse(EncodeResponse):
    """An item of the index."""

    id: ItemId
    text: str | None = Field(description="The sentence of a text item, else null")
    sha256: str = Field(description="Digest of the media or sentence that was indexed")
    metadata: Metadata


class ItemPage(BaseModel):
    """A part of all items, in the order of their ids."""

    items: list[ItemResponse]
    next_cursor: str | None = Field(description="``cursor`` of the next page; null on the last")


class SearchHit(BaseModel):
    """One stream of one item."""

    id: ItemId
    modality: Modality
    score: float = Field(description="Cosine in [-1, 1]", examples=[0.83])
    best_second: int | None = Field(
        description="The second most like the query, from 0; null for pictures and sentences"
    )
    text: str | None = Field(description="The sentence of a text item, else null")
    metadata: Metadata


class SearchResponse(BaseModel):
    """The streams most like the query: best first, equal scores by id."""

    fingerprint: str
    hits: list[SearchHit]


class ModalityInfo(BaseModel):
    """How one modality is encoded."""

    backbone: str
    feature_shape: list[int]


class ModelInfo(BaseModel):
    """What is served, and within which limits."""

    checkpoint: str
    fingerprint: str
    modalities: dict[Modality, ModalityInfo]
    code_layers: list[int] = Field(description="The layer of each row of codes")
    codebook_sizes: list[int] = Field(description="How many codes each row can take")
    num_items: int
    limits: dict[str, int] = Field(description="The settings that begin with max_")


class Health(BaseModel):
    """That the service is there."""

    status: Literal["alive", "ready"]


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="Names the kind of problem", examples=["urn:srcid:not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="What was wrong with the value, and what to do")
