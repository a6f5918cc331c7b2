"""/v1/embeddings and /v1/models: OpenAI's calls, for clients written for them."""

import base64

import numpy as np
from fastapi import APIRouter, Request
from numpy.typing import NDArray

from app.api.deps import ServiceDep, while_connected
from app.api.problems import documents
from app.errors import InvalidMedia, InvalidRequest, NotFound, Overloaded, TooLarge
from app.schemas.encoding import (
    Embedding,
    EmbeddingsRequest,
    EmbeddingsResponse,
    OpenAIModel,
    OpenAIModels,
    Usage,
)
from app.schemas.sources import HasSource, Media, Sentence, is_address
from app.service.async_service import AsyncRetrievalService

router = APIRouter(tags=["encode"])


@router.post("/v1/embeddings", responses=documents(InvalidMedia, TooLarge, Overloaded))
async def embeddings(
    service: ServiceDep, request: Request, body: EmbeddingsRequest
) -> EmbeddingsResponse:
    """Return sentences and media as vectors, as OpenAI's call does.

    Media are given as `data:<type>;base64,<data>` in the place of a sentence. The vectors are
    those that the codes of both layers stand for; of a clip with picture and sound, their mean.
    """
    size = service.embedding_size
    if body.dimensions not in (None, size):
        raise InvalidRequest(
            f"dimensions is {body.dimensions!r}: this checkpoint's vectors have {size} numbers; "
            "leave it out"
        )
    inputs = [body.input] if isinstance(body.input, str) else body.input
    embedded = await while_connected(request, service.embed([_subject(text) for text in inputs]))
    num_steps = sum(steps for _, steps in embedded)
    return EmbeddingsResponse(
        data=[
            Embedding(index=index, embedding=_formatted(vector, body.encoding_format))
            for index, (vector, _) in enumerate(embedded)
        ],
        model=_name(service),
        usage=Usage(prompt_tokens=num_steps, total_tokens=num_steps),
    )


@router.get("/v1/models")
async def models(service: ServiceDep) -> OpenAIModels:
    """Return the served checkpoint as the only model, as OpenAI's call does."""
    return OpenAIModels(data=[OpenAIModel(id=_name(service))])


@router.get("/v1/models/{model}", responses=documents(NotFound))
async def model(service: ServiceDep, model: str) -> OpenAIModel:
    """Return the served checkpoint by its name, as OpenAI's call does."""
    if model not in (name := _name(service), "srcid"):
        raise NotFound(f"there is no model {model!r}: the only one is {name!r} (GET /v1/models)")
    return OpenAIModel(id=name)


def _name(service: AsyncRetrievalService) -> str:
    return f"srcid-{service.fingerprint}"


def _subject(text: str) -> HasSource:
    """Return an input; what looks like an address counts as media, to be rejected as such."""
    return Media(media=text, modality=None) if is_address(text) else Sentence(text=text)


def _formatted(vector: NDArray[np.float32], encoding_format: str) -> list[float] | str:
    if encoding_format == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    numbers: list[float] = vector.tolist()
    return numbers
