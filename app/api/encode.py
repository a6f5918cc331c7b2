"""POST /encode and /encode/batch: clips and sentences in, their code sequences out."""

from typing import Annotated

from fastapi import APIRouter, Depends

from app.api.bodies import body_of, body_schema
from app.api.deps import About, EncodingDep, ServiceDep
from app.api.problems import describe, documents
from app.errors import InvalidMedia, Overloaded, ServiceError, TooLarge, UnsupportedBody
from app.schemas import (
    MAX_BATCH,
    BatchResponse,
    BatchResult,
    EncodeBatch,
    EncodeMedia,
    EncodeResponse,
    EncodeSentence,
    EncodeUpload,
    EncodeUploads,
)
from app.schemas.sources import Upload

router = APIRouter(tags=["encode"])
SENT: dict[str, type[EncodeSentence | EncodeMedia]] = {
    "text": EncodeSentence,
    "media": EncodeMedia,
}
Body = Annotated[EncodeSentence | EncodeMedia | EncodeUpload, Depends(body_of(SENT, EncodeUpload))]
Batch = Annotated[
    EncodeBatch | EncodeUploads,
    Depends(body_of({"items": EncodeBatch}, EncodeUploads, files=MAX_BATCH)),
]


@router.post(
    "/encode",
    openapi_extra=body_schema(SENT, EncodeUpload),
    responses=documents(InvalidMedia, TooLarge, UnsupportedBody, Overloaded),
)
async def encode(service: ServiceDep, encoding: EncodingDep, body: Body) -> EncodeResponse:
    """Encode one clip, sound, picture or sentence into its two-layer code sequence.

    Media come as a form, as they are (with their own media type), or in base64 as `media`;
    features of the checkpoint's backbones as an npy or safetensors file in the place of media.
    """
    return service.answer(await encoding(body), floats=body.floats)


@router.post(
    "/encode/batch",
    openapi_extra=body_schema({"items": EncodeBatch}, EncodeUploads),
    responses=documents(TooLarge, UnsupportedBody),
)
async def encode_batch(service: ServiceDep, encoding: EncodingDep, body: Batch) -> BatchResponse:
    """Encode many items in one call: an answer or a problem for each, in their order."""
    results = [
        BatchResult(status=encoded.status, problem=describe(encoded))
        if isinstance(encoded, ServiceError)
        else BatchResult(status=200, answer=service.answer(encoded, floats=body.floats))
        for encoded in await encoding.each(_parts(body))
    ]
    return BatchResponse(fingerprint=service.engine.encoder.fingerprint, results=results)


def _parts(body: EncodeBatch | EncodeUploads) -> list[About]:
    if isinstance(body, EncodeBatch):
        return list(body.items)
    return [Upload(file=file, modality=body.modality) for file in body.file]
