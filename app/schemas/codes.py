"""What the calls about codes themselves take and answer.

Shape letters: C code rows, T1 and T2 steps of two streams.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.fields import MAX_HITS, MAX_PATTERN, Body, ItemId, Layers, Targets
from app.schemas.sources import SubjectField
from model.modality import Modality

Code = Annotated[int, Field(ge=0, lt=2**15)]


class PatternSearch(Body):
    """Codes that follow one another in time."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"pattern": [[12, None, 80]]}]})
    pattern: list[Annotated[list[Code | None], Field(min_length=1, max_length=MAX_PATTERN)]] = (
        Field(
            min_length=1,
            max_length=64,
            description="Rows of codes, one column per second; null matches any code. All "
            "rows, as returned by /encode, or only the row that `row` names",
        )
    )
    row: int | None = Field(
        None, ge=0, lt=64, description="Row of codes that a one-row pattern applies to; default 0"
    )
    targets: Targets | None = Field(None, description="Modalities to search; default all")
    k: int = Field(100, ge=1, le=MAX_HITS, description="Maximum number of places")


class Place(BaseModel):
    """A second of a stream."""

    id: ItemId
    modality: Modality
    second: int = Field(description="Second from 0; for a sentence, the word")
    word: str | None = Field(description="The word at this step of a text stream")


class PatternResponse(BaseModel):
    """Occurrences of the pattern, ordered by id, modality and second."""

    fingerprint: str
    places: list[Place]


class CompanionCode(BaseModel):
    """A code of another row that occurs at the same seconds."""

    layer: int
    row: int
    code: int
    count: int


class Word(BaseModel):
    """A word that a code represents."""

    word: str
    count: int


class CodeResponse(BaseModel):
    """The code card: what the items of the index say about the meaning of one code."""

    fingerprint: str
    layer: int
    row: int = Field(description="The row of /encode's codes")
    code: int
    counts: dict[Modality, int] = Field(description="Number of seconds (words) with this code")
    best: list[Place] = Field(description="Occurrences, most typical streams first")
    words: list[Word] = Field(
        description="Words it represents in the most typical sentences, by frequency"
    )
    companions: list[CompanionCode]
    agreement: dict[str, float] | None = Field(
        description="For this layer and each pair of modalities: how far the same code means the "
        "same in both (1: always); null if not measured for the checkpoint",
        examples=[{"audio ~ video": 0.41}],
    )


class CompareRequest(Body):
    """Two things to compare, second by second."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"a": {"text": "a dog barks"}, "b": "rain on a roof"}]}
    )
    a: SubjectField
    b: SubjectField
    layers: Layers = Field("both", description="Layers of the codes to compare")


class HeatMap(BaseModel):
    """Two streams, one of each side, compared."""

    a: Modality
    b: Modality
    score: float = Field(description="Cosine of the means over all seconds, as /search scores")
    cosines: list[list[float]] = Field(description="[T1, T2]: one row per second of a")


class CompareResponse(BaseModel):
    """Every stream of a with every stream of b."""

    fingerprint: str
    maps: list[HeatMap]
