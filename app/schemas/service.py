"""What the service says of itself, and how it says that something went wrong."""

from operator import not_
from typing import Literal

from pydantic import BaseModel, Field

from model.modality import Modality


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
    is_calibrated: bool = Field(description="Whether a search can say that nothing matches")
    keeps_media: bool = Field(description="Whether media that are added are kept")
    num_items: int
    limits: dict[str, int] = Field(description="The settings that begin with max_")


class Health(BaseModel):
    """That the service is there."""

    status: Literal["alive", "ready"]
    decode_sandbox: list[Literal["landlock", "seccomp"]] | None = Field(
        None,
        exclude_if=lambda parts: parts is None,
        description="/readyz: what confines the decode workers; absent while the first one starts",
    )


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="Names the kind of problem", examples=["urn:srcid:not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="What was wrong with the value, and what to do")
    request_id: str | None = Field(
        None,
        exclude_if=not_,
        description="As in the X-Request-ID of the answer, and in the service's log",
    )
