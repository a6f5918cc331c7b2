"""POST /v1/embeddings: as OpenAI's, so that clients written for it work."""

import base64

import numpy as np
from fastapi import APIRouter, Request

from app.api.deps import About, Encoding, service_of
from app.api.problems import documents
from app.errors import InvalidMedia, InvalidRequest, Overloaded, TooLarge
from app.schemas import Embedding, EmbeddingsRequest, EmbeddingsResponse, Usage
from app.schemas.sources import Media, Sentence, is_address

router = APIRouter(tags=["encode"])


@router.post("/v1/embeddings", responses=documents(InvalidMedia, TooLarge, Overloaded))
async def embeddings(request: Request, body: EmbeddingsRequest) -> EmbeddingsResponse:
    """Return sentences and media as vectors, as OpenAI's call does.

    Media are given as `data:<type>;base64,<data>` in the place of a sentence. The vectors are
    those that the codes of both layers stand for; of a clip with picture and sound, their mean.
    """
    service = service_of(request)
    inputs = [body.input] if isinstance(body.input, str) else body.input
    size = service.embedding_size
    if body.dimensions not in (None, size):
        raise InvalidRequest(
            f"dimensions is {body.dimensions!r}: this checkpoint's vectors have {size} numbers; "
            "leave it out"
        )
    encoded = await Encoding(request).all([_about(text) for text in inputs])
    vectors = [service.embedding(own) for own in encoded]
    steps = sum(codes.shape[1] for own in encoded for codes in own.codes.values())
    return EmbeddingsResponse(
        data=[
            Embedding(index=index, embedding=_written(vector, body.encoding_format))
            for index, vector in enumerate(vectors)
        ],
        model=f"srcid-{service.engine.encoder.fingerprint}",
        usage=Usage(prompt_tokens=steps, total_tokens=steps),
    )


def _about(text: str) -> About:
    """Take what looks like an address for media, so that it is refused and not encoded."""
    return Media(media=text, modality=None) if is_address(text) else Sentence(text=text)


def _written(
    vector: "np.ndarray[tuple[int], np.dtype[np.float32]]", form: str
) -> list[float] | str:
    if form == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return vector.tolist()
