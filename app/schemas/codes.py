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
            description="Rows of codes, a column a second; null fits any code. All rows as /encode "
            "gives them, or one row, which is then that of `row`",
        )
    )
    row: int | None = Field(
        None, ge=0, lt=64, description="Which row the only row of the pattern is; 0 by default"
    )
    targets: Targets | None = Field(None, description="Kinds of streams to look through; all")
    k: int = Field(100, ge=1, le=MAX_HITS, description="Most places in the answer")


class Place(BaseModel):
    """A second of a stream."""

    id: ItemId
    modality: Modality
    second: int = Field(description="From 0; of a sentence, the word")
    word: str | None = Field(description="The word there, of a text stream")


class PatternResponse(BaseModel):
    """Where the pattern stands: by id, modality and second."""

    fingerprint: str
    places: list[Place]


class CompanionCode(BaseModel):
    """A code of another row that stands at the same seconds."""

    layer: int
    row: int
    code: int
    count: int


class Word(BaseModel):
    """A word that a code stood for."""

    word: str
    count: int


class CodeResponse(BaseModel):
    """The code card: what the items of the index say about the meaning of one code."""

    fingerprint: str
    layer: int
    row: int = Field(description="The row of /encode's codes")
    code: int
    counts: dict[Modality, int] = Field(description="How many seconds (words) have it")
    best: list[Place] = Field(description="Where it stands, most typical streams first")
    words: list[Word] = Field(description="What it stands for in the best sentences, by frequency")
    companions: list[CompanionCode]
    agreement: dict[str, float] | None = Field(
        description="Of this layer, by pair of modalities: how far the same code means the same "
        "in both (1: always); null where the checkpoint was not measured",
        examples=[{"audio ~ video": 0.41}],
    )


class CompareRequest(Body):
    """Two things to compare, second by second."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"a": {"text": "a dog barks"}, "b": "rain on a roof"}]}
    )
    a: SubjectField
    b: SubjectField
    layers: Layers = Field("both", description="Layers of the codes that are compared")


class HeatMap(BaseModel):
    """A stream of each, compared."""

    a: Modality
    b: Modality
    score: float = Field(description="Cosine of the means over all seconds, as /search scores")
    cosines: list[list[float]] = Field(description="[T1, T2]: a row a second of a")


class CompareResponse(BaseModel):
    """Every stream of a with every stream of b."""

    fingerprint: str
    maps: list[HeatMap]
