"""What /encode, /encode/batch and /v1/embeddings take and answer.

Shape letters: C code rows (one a layer), T steps (seconds of media, or words of a sentence),
K layers, D hidden dim.
"""

from operator import not_
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag

from app.schemas.fields import MAX_BATCH, MAX_INPUTS, Body
from app.schemas.service import Problem
from app.schemas.sources import Media, Sentence, Upload, kind_of_source
from model.modality import Modality


class _EncodeOptions(Body):
    floats: bool = Field(
        False, description="Whether the vectors that the codes stand for are answered too"
    )


class EncodeSentence(_EncodeOptions, Sentence):
    """Encode a sentence."""


class EncodeUpload(_EncodeOptions, Upload):
    """Encode a clip, sound or picture."""


class EncodeMedia(_EncodeOptions, Media):
    """Encode a clip, sound or picture that stands in the JSON itself."""


class StreamVectors(BaseModel):
    """What the codes of a stream stand for."""

    pooled: list[float] = Field(description="[K * D], the mean over steps: what search compares")
    steps: list[list[float]] = Field(description="[T, K * D], the layers side by side")


class StreamCodes(BaseModel):
    """One modality of a clip or sentence as codes."""

    codes: list[list[int]] = Field(
        description="[C, T]: a row a layer, a column a second (of text: a word)",
        examples=[[[12, 12, 80], [7, 391, 7]]],
    )
    vectors: StreamVectors | None = Field(None, exclude_if=not_, description="Only where asked for")


class EncodeResponse(BaseModel):
    """A clip or sentence as codes."""

    fingerprint: str = Field(description="The checkpoint that the codes belong to")
    duration_seconds: float | None = Field(description="Of the media; null for picture and text")
    streams: dict[Modality, StreamCodes]


BatchItem = Annotated[
    Annotated[Sentence, Tag("text")] | Annotated[Media, Tag("media")],
    Discriminator(lambda value: "media" if kind_of_source(value) == "media" else "text"),
]


class EncodeBatch(_EncodeOptions):
    """Encode several sentences and media."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"items": [{"text": "a dog barks"}, {"text": "rain on a roof"}]}]
        }
    )
    items: list[BatchItem] = Field(min_length=1, max_length=MAX_BATCH)


class EncodeUploads(_EncodeOptions):
    """Encode several clips, sounds or pictures: one field named file for each."""

    file: list[Annotated[bytes, Field(json_schema_extra={"format": "binary"})]] = Field(
        min_length=1, max_length=MAX_BATCH, description="Videos, sounds, pictures or features"
    )
    modality: Modality | None = Field(None, description="The only stream to use of each")


class BatchResult(BaseModel):
    """What became of one item: an answer or a problem."""

    status: int = Field(description="As if the item had been sent alone", examples=[200])
    answer: EncodeResponse | None = None
    problem: Problem | None = None


class BatchResponse(BaseModel):
    """What became of each item, in their order."""

    fingerprint: str
    results: list[BatchResult]


class EmbeddingsRequest(BaseModel):
    """What OpenAI's clients send. A ``data:`` URI stands for media; other fields are ignored."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "srcid", "input": ["a dog barks"]}]}
    )
    input: str | Annotated[list[str], Field(min_length=1, max_length=MAX_INPUTS)] = Field(
        description="Sentences, or media as data:<type>;base64,<data>. No URL is ever fetched"
    )
    model: str = Field("srcid", max_length=255, description="Any: one checkpoint is served")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: JsonValue = Field(None, description="Must be left out, or be what there is")


class Embedding(BaseModel):
    """One input as a vector."""

    object: Literal["embedding"] = "embedding"
    index: int = Field(description="Which input, from 0")
    embedding: list[float] | str = Field(
        description="Unit vector of both layers, [K * D]; in base64 as little-endian float32"
    )


class Usage(BaseModel):
    """What OpenAI's clients want to count: here the steps that were encoded."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(BaseModel):
    """The inputs as vectors, in their order."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str = Field(description="The checkpoint and its fingerprint")
    usage: Usage
