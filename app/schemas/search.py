"""What /search takes and answers."""

from collections.abc import Mapping, Sequence
from operator import not_
from typing import TypedDict

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.schemas.fields import MAX_HITS, MAX_PARTS, Body, ItemId, Layers, Metadata, Score, Targets
from app.schemas.filters import Where
from app.schemas.sources import Like, Media, QueryPart, Sentence, Upload
from model.modality import Modality


class SearchOptions(Body):
    """How to search: one object from the request down to the store."""

    targets: Targets | None = Field(
        None, description="Kinds of streams to search; all of them where left out"
    )
    k: int = Field(10, ge=1, le=MAX_HITS, description="Most hits in the answer")
    layers: Layers = Field("both", description="Layers of the codes that are compared")
    score: Score = Field(
        "mean",
        description="What of a stream is compared: the mean of its seconds, the second most like "
        "the query (max), or the seconds in a row that are (window)",
    )
    window: int = Field(3, ge=1, le=60, description="Seconds of a window")
    where: Where | None = Field(None, description="What the metadata of an item has to be")
    threshold: float | None = Field(None, ge=-1, le=1, description="Least score of a hit")
    curves: bool = Field(False, description="Whether each hit tells its likeness by the second")
    plus: list[QueryPart] = Field(
        default_factory=list, max_length=MAX_PARTS, description="What the query should also be like"
    )
    minus: list[QueryPart] = Field(
        default_factory=list, max_length=MAX_PARTS, description="What it should be less like"
    )
    exclude: list[QueryPart] = Field(
        default_factory=list,
        max_length=MAX_PARTS,
        description="What it should have nothing of: the query is made orthogonal to it",
    )

    @property
    def width(self) -> int | None:
        """How many steps in a row are compared; None: the mean of the whole stream."""
        return {"mean": None, "max": 1, "window": self.window}[self.score]

    @property
    def least_score(self) -> float:
        """The lowest score of a hit."""
        return -1.0 if self.threshold is None else self.threshold


class SearchFields(TypedDict, total=False):
    """The options of a search as keywords in Python; see ``SearchOptions``."""

    targets: Sequence[Modality | str] | None
    k: int
    layers: Layers
    modality: Modality | str | None
    score: Score
    window: int
    where: Mapping[str, JsonValue] | None
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
    """Search by a clip. With picture and sound, a hit's score is the better of the two's."""


class SearchMedia(SearchOptions, Media):
    """Search by a clip that stands in the JSON itself."""


class SearchLike(SearchOptions, Like):
    """Search by an item of the index: more like this."""


class SearchHit(BaseModel):
    """One stream of one item."""

    id: ItemId
    modality: Modality
    score: float = Field(description="Cosine in [-1, 1]", examples=[0.83])
    probability: float | None = Field(
        description="That it is about what was asked; null where the checkpoint is not "
        "calibrated for such a query",
        examples=[0.97],
    )
    best_second: int | None = Field(
        description="The second most like the query, from 0 (of a part of long media: from the "
        "start of the whole); null for pictures and sentences"
    )
    curve: list[float] | None = Field(
        None,
        exclude_if=not_,
        description="[T] likeness by the second (of text: by the word); only where asked for",
    )
    text: str | None = Field(description="The sentence of a text item, else null")
    metadata: Metadata
    has_media: bool = Field(description="Whether GET /items/{id}/media has the media")
    has_thumbnail: bool = Field(description="Whether GET /items/{id}/thumbnail has a picture")


class SearchResponse(BaseModel):
    """The streams most like the query: best first, equal scores by id."""

    fingerprint: str
    nothing_matches: bool | None = Field(
        description="Whether no hit is likelier than not about what was asked; null where that is "
        "not known"
    )
    hits: list[SearchHit]
