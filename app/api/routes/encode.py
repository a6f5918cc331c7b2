"""POST /encode and /encode/batch: clips and sentences in, their code sequences out."""

from fastapi import APIRouter, Request

from app.api.deps import PlainRoute, body_of, body_schema, service_of, while_connected
from app.api.problems import describe, documents
from app.errors import InvalidMedia, Overloaded, ServiceError, TooLarge, UnsupportedBody
from app.schemas.encoding import (
    BatchResponse,
    BatchResult,
    EncodeBatch,
    EncodeMedia,
    EncodeResponse,
    EncodeSentence,
    EncodeUpload,
    EncodeUploads,
)
from app.schemas.fields import MAX_BATCH
from app.schemas.sources import HasSource, Upload

router = APIRouter(tags=["encode"], route_class=PlainRoute)
ONE: dict[str, type[EncodeSentence | EncodeMedia]] = {"text": EncodeSentence, "media": EncodeMedia}
BATCH = {"items": EncodeBatch}
read_one = body_of(ONE, EncodeUpload)
read_batch = body_of(BATCH, EncodeUploads, files=MAX_BATCH)


@router.post(
    "/encode",
    openapi_extra=body_schema(ONE, EncodeUpload),
    responses=documents(InvalidMedia, TooLarge, UnsupportedBody, Overloaded),
)
async def encode(request: Request) -> EncodeResponse:
    """Encode one clip, sound, picture or sentence into its two-layer code sequence.

    Send media as a form, as a raw body (with their own media type), or in base64 as `media`;
    features of the checkpoint's backbones as an npy or safetensors file in place of media.
    """
    body = await read_one(request)
    return await while_connected(request, service_of(request).encode(body, floats=body.floats))


@router.post(
    "/encode/batch",
    openapi_extra=body_schema(BATCH, EncodeUploads),
    responses=documents(TooLarge, UnsupportedBody),
)
async def encode_batch(request: Request) -> BatchResponse:
    """Encode many items in one call: an answer or a problem for each, in their order."""
    service, body = service_of(request), await read_batch(request)
    work = service.encode_batch(_subjects(body), floats=body.floats)
    results = [
        BatchResult(status=answer.status, problem=describe(answer))
        if isinstance(answer, ServiceError)
        else BatchResult(status=200, answer=answer)
        for answer in await while_connected(request, work)
    ]
    return BatchResponse(fingerprint=service.fingerprint, results=results)


def _subjects(body: EncodeBatch | EncodeUploads) -> list[HasSource]:
    if isinstance(body, EncodeBatch):
        return list(body.items)
    return [Upload(file=file, modality=body.modality) for file in body.file]
