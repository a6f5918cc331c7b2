"""What /live sends: each message is one of these, told apart by ``kind``."""

from typing import Literal

from pydantic import BaseModel, Field

from app.schemas.service import Problem


class LiveStart(BaseModel):
    """The first message: what is expected, and what the codes belong to."""

    kind: Literal["start"] = "start"
    fingerprint: str = Field(description="The checkpoint that the codes belong to")
    sample_rate: int = Field(description="Samples a second that are expected, mono")
    code_layers: list[int] = Field(description="The layer of each code of a second")
    piece_seconds: int = Field(description="Seconds that the network looks at together")


class LiveSecond(BaseModel):
    """A second has passed: its codes, from what was heard so far."""

    kind: Literal["second"] = "second"
    second: int = Field(description="From 0")
    codes: list[int] = Field(description="[C]: one of each row")


class LivePiece(BaseModel):
    """A piece is complete: its codes as /encode gives them for the whole sound."""

    kind: Literal["piece"] = "piece"
    first_second: int
    codes: list[list[int]] = Field(description="[C, T]: a row a layer, a column a second")


class LiveProblem(BaseModel):
    """The last message where something went wrong."""

    kind: Literal["problem"] = "problem"
    problem: Problem
