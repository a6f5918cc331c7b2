"""What /search takes and answers."""

from collections.abc import Mapping, Sequence
from operator import not_
from typing import TypedDict

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.schemas.fields import MAX_HITS, MAX_PARTS, Body, ItemId, Layers, Metadata, Score, Targets
from app.schemas.filters import Filter, Where
from app.schemas.sources import Like, Media, QueryPart, Sentence, Upload
from model.modality import Modality


class SearchOptions(Body):
    """How to search: one object from the request down to the store."""

    targets: Targets | None = Field(None, description="Modalities to search; default all")
    k: int = Field(10, ge=1, le=MAX_HITS, description="Maximum number of hits")
    layers: Layers = Field("both", description="Layers of the codes to compare")
    score: Score = Field(
        "mean",
        description="What to compare of a stream: the mean of its seconds, its most similar second "
        "(max), or its most similar consecutive seconds (window)",
    )
    window: int = Field(3, ge=1, le=60, description="Seconds of a window")
    where: Where | None = Field(None, description="Metadata filter")
    threshold: float | None = Field(None, ge=-1, le=1, description="Minimum score of a hit")
    curves: bool = Field(False, description="Whether to return each hit's similarity per second")
    plus: list[QueryPart] = Field(
        default_factory=list, max_length=MAX_PARTS, description="What hits should also match"
    )
    minus: list[QueryPart] = Field(
        default_factory=list, max_length=MAX_PARTS, description="What hits should match less"
    )
    exclude: list[QueryPart] = Field(
        default_factory=list,
        max_length=MAX_PARTS,
        description="What to exclude: the query is made orthogonal to it",
    )

    @property
    def width(self) -> int | None:
        """Number of consecutive steps to compare; None: the mean of the whole stream."""
        return {"mean": None, "max": 1, "window": self.window}[self.score]

    @property
    def least_score(self) -> float:
        """The minimum score of a hit."""
        return -1.0 if self.threshold is None else self.threshold


class SearchFields(TypedDict, total=False):
    """The options of a search as keywords in Python; see ``SearchOptions``."""

    targets: Sequence[Modality | str] | None
    k: int
    layers: Layers
    modality: Modality | str | None
    score: Score
    window: int
    where: Filter | None
    threshold: float | None
    curves: bool
    plus: Sequence[str | Mapping[str, JsonValue]]
    minus: Sequence[str | Mapping[str, JsonValue]]
    exclude: Sequence[str | Mapping[str, JsonValue]]


class SearchSentence(SearchOptions, Sentence):
    """Search by a sentence."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "a dog barks", "k": 5},
                {"text": "an animal outdoors", "targets": ["video"], "exclude": ["a dog"]},
            ]
        }
    )


class SearchUpload(SearchOptions, Upload):
    """Search by a clip. If it has picture and sound, a hit gets the better score of the two."""


class SearchMedia(SearchOptions, Media):
    """Search by a clip embedded in the JSON."""


class SearchLike(SearchOptions, Like):
    """Search by an indexed item: more like this."""


class SearchHit(BaseModel):
    """One stream of one item."""

    id: ItemId
    modality: Modality
    score: float = Field(description="Cosine in [-1, 1]", examples=[0.83])
    probability: float | None = Field(
        description="Probability that the hit matches the query; null if the checkpoint is not "
        "calibrated for such queries",
        examples=[0.97],
    )
    best_second: int | None = Field(
        description="Best-matching second, from 0 (for a part of long media: from the start of the "
        "whole); null for pictures and sentences"
    )
    curve: list[float] | None = Field(
        None,
        exclude_if=not_,
        description="[T] similarity per second (text: per word); only if requested",
    )
    text: str | None = Field(description="Sentence of a text item, otherwise null")
    metadata: Metadata
    has_media: bool = Field(description="Whether GET /items/{id}/media returns the media")
    has_thumbnail: bool = Field(description="Whether GET /items/{id}/thumbnail returns a picture")


class SearchResponse(BaseModel):
    """The most similar streams, best first; equal scores ordered by id."""

    fingerprint: str
    nothing_matches: bool | None = Field(
        description="Whether no hit is more likely right than wrong; null if unknown"
    )
    hits: list[SearchHit]
