"""Descriptions of the service, and problem documents."""

from operator import not_
from typing import Literal

from pydantic import BaseModel, Field

from model.modality import Modality


class ModalityInfo(BaseModel):
    """How one modality is encoded."""

    backbone: str
    feature_shape: list[int]


class ModelInfo(BaseModel):
    """The served checkpoint and the limits."""

    checkpoint: str
    fingerprint: str
    modalities: dict[Modality, ModalityInfo]
    code_layers: list[int] = Field(description="Layer of each row of codes")
    codebook_sizes: list[int] = Field(description="Codebook size of each row")
    device: str = Field(description="Where the network runs", examples=["cpu", "cuda:0"])
    is_calibrated: bool = Field(
        description="Whether searches return probabilities and nothing_matches"
    )
    keeps_media: bool = Field(description="Whether added media are stored")
    takes_jobs: bool = Field(description="Whether SRCID_MEDIA_ROOT is set, so that jobs can start")
    num_items: int
    limits: dict[str, int] = Field(
        description="The settings whose names begin with max_, where they are set"
    )


class Health(BaseModel):
    """The service is running."""

    status: Literal["alive", "ready"]
    decode_sandbox: list[Literal["landlock", "seccomp"]] | None = Field(
        None,
        exclude_if=lambda parts: parts is None,
        description="/readyz: what confines the decode workers; absent while the first one starts",
    )


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="Kind of problem", examples=["urn:srcid:not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="What is wrong, with the value, and what to do")
    request_id: str | None = Field(
        None,
        exclude_if=not_,
        description="Also in the X-Request-ID header and in the log",
    )
    error: dict[str, str | None] | None = Field(
        None,
        exclude_if=not_,
        description="Below /v1, for OpenAI's clients: message, type, param and code",
    )
