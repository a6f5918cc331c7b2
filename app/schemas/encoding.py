"""What /encode, /encode/batch and /v1/embeddings take and answer.

Shape letters: C code rows (a layer may have several), T steps (seconds, or words of a sentence),
K layers, D hidden dim.
"""

from operator import not_
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, JsonValue, Tag

from app.schemas.fields import MAX_BATCH, MAX_INPUTS, Body
from app.schemas.service import Problem
from app.schemas.sources import Media, Sentence, Upload, kind_of_source
from model.modality import Modality


class _EncodeOptions(Body):
    floats: bool = Field(False, description="Whether to also return the vectors of the codes")


class EncodeSentence(_EncodeOptions, Sentence):
    """Encode a sentence."""


class EncodeUpload(_EncodeOptions, Upload):
    """Encode a clip, sound or picture."""


class EncodeMedia(_EncodeOptions, Media):
    """Encode a clip, sound or picture embedded in the JSON."""


class StreamVectors(BaseModel):
    """The vectors of a stream's codes."""

    pooled: list[float] = Field(description="[K * D], mean over steps, as compared by search")
    steps: list[list[float]] = Field(description="[T, K * D], layers concatenated")


class StreamCodes(BaseModel):
    """One modality of a clip or sentence as codes."""

    codes: list[list[int]] = Field(
        description="[C, T]: rows of codes (code_layers), one column per second (text: per word)",
        examples=[[[12, 12, 80], [7, 391, 7]]],
    )
    vectors: StreamVectors | None = Field(None, exclude_if=not_, description="Only if requested")


class EncodeResponse(BaseModel):
    """A clip or sentence as codes."""

    fingerprint: str = Field(description="Checkpoint that made the codes")
    code_layers: list[int] = Field(
        description="Layer of each row of codes; a layer may have several rows", examples=[[1, 2]]
    )
    duration_seconds: float | None = Field(
        description="Duration of the media; null for pictures and text"
    )
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
    modality: Modality | None = Field(None, description="Use only this stream of each file")


class BatchResult(BaseModel):
    """Result of one item: a response or a problem."""

    status: int = Field(
        description="HTTP status, as if the item had been sent alone", examples=[200]
    )
    answer: EncodeResponse | None = None
    problem: Problem | None = None


class BatchResponse(BaseModel):
    """Results of all items, in order."""

    fingerprint: str
    results: list[BatchResult]


def _no_token_ids(value: object) -> object:
    """Refuse token ids, in one sentence; OpenAI's clients may send them in place of texts."""
    if isinstance(value, list) and value and isinstance(value[0], int | list):
        raise ValueError(
            "token ids of OpenAI's tokenizers mean nothing to this model: send texts (LangChain: "
            "OpenAIEmbeddings(check_embedding_ctx_length=False))"
        )
    return value


class EmbeddingsRequest(BaseModel):
    """A request of OpenAI's clients. A ``data:`` URI is media; other fields are ignored."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "srcid", "input": ["a dog barks"]}]}
    )
    input: Annotated[
        str | Annotated[list[str], Field(min_length=1, max_length=MAX_INPUTS)],
        BeforeValidator(_no_token_ids),
    ] = Field(
        description="Sentences, or media as data:<type>;base64,<data>. URLs are never fetched"
    )
    model: str = Field(
        "srcid", max_length=255, description="Ignored: the server has one checkpoint"
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: JsonValue = Field(None, description="If given, must be the size of the vectors")


class Embedding(BaseModel):
    """One input as a vector."""

    object: Literal["embedding"] = "embedding"
    index: int = Field(description="Index of the input, from 0")
    embedding: list[float] | str = Field(
        description="Unit vector of both layers, [K * D]; in base64 as little-endian float32"
    )


class Usage(BaseModel):
    """Usage as OpenAI's clients expect it; counts encoded steps."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(BaseModel):
    """The inputs as vectors, in order."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str = Field(description="The checkpoint and its fingerprint")
    usage: Usage


class OpenAIModel(BaseModel):
    """A model as OpenAI's clients expect it."""

    id: str = Field(description="The checkpoint and its fingerprint")
    object: Literal["model"] = "model"
    created: int = Field(0, description="Always 0: a checkpoint does not say when it was made")
    owned_by: str = "srcid"


class OpenAIModels(BaseModel):
    """The served model, in a list as OpenAI's clients expect it."""

    object: Literal["list"] = "list"
    data: list[OpenAIModel]
