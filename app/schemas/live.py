"""Messages of /live, distinguished by ``kind``."""

from typing import Literal

from pydantic import BaseModel, Field

from app.schemas.service import Problem


class LiveStart(BaseModel):
    """The first message: expected format and checkpoint."""

    kind: Literal["start"] = "start"
    fingerprint: str = Field(description="Checkpoint that makes the codes")
    sample_rate: int = Field(description="Expected samples per second, mono")
    code_layers: list[int] = Field(description="Layer of each code of a second")
    piece_seconds: int = Field(description="Seconds that the network processes at once")


class LiveSecond(BaseModel):
    """A second has passed: its codes, from the sound so far."""

    kind: Literal["second"] = "second"
    second: int = Field(description="From 0")
    codes: list[int] = Field(description="[C]: one per row")


class LivePiece(BaseModel):
    """A piece is complete: its codes as /encode gives them for the whole sound."""

    kind: Literal["piece"] = "piece"
    first_second: int
    codes: list[list[int]] = Field(
        description="[C, T]: rows of codes (code_layers), one column per second"
    )


class LiveProblem(BaseModel):
    """The last message if an error occurs."""

    kind: Literal["problem"] = "problem"
    problem: Problem
