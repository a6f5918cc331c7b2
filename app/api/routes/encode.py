"""POST /encode and /encode/batch: clips and sentences in, their code sequences out."""

from fastapi import APIRouter, Request

from app.api.bodies import body_of, body_schema
from app.api.deps import About, Encoding, service_of
from app.api.plain_route import PlainRoute
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

router = APIRouter(tags=["encode"], route_class=PlainRoute)
SENT: dict[str, type[EncodeSentence | EncodeMedia]] = {
    "text": EncodeSentence,
    "media": EncodeMedia,
}
BATCH = {"items": EncodeBatch}
read_one = body_of(SENT, EncodeUpload)
read_batch = body_of(BATCH, EncodeUploads, files=MAX_BATCH)


@router.post(
    "/encode",
    openapi_extra=body_schema(SENT, EncodeUpload),
    responses=documents(InvalidMedia, TooLarge, UnsupportedBody, Overloaded),
)
async def encode(request: Request) -> EncodeResponse:
    """Encode one clip, sound, picture or sentence into its two-layer code sequence.

    Media come as a form, as they are (with their own media type), or in base64 as `media`;
    features of the checkpoint's backbones as an npy or safetensors file in the place of media.
    """
    body = await read_one(request)
    encoded = await Encoding(request)(body)
    return service_of(request).answer(encoded, floats=body.floats)


@router.post(
    "/encode/batch",
    openapi_extra=body_schema(BATCH, EncodeUploads),
    responses=documents(TooLarge, UnsupportedBody),
)
async def encode_batch(request: Request) -> BatchResponse:
    """Encode many items in one call: an answer or a problem for each, in their order."""
    service, body = service_of(request), await read_batch(request)
    results = [
        BatchResult(status=encoded.status, problem=describe(encoded))
        if isinstance(encoded, ServiceError)
        else BatchResult(status=200, answer=service.answer(encoded, floats=body.floats))
        for encoded in await Encoding(request).each(_parts(body))
    ]
    return BatchResponse(fingerprint=service.engine.encoder.fingerprint, results=results)


def _parts(body: EncodeBatch | EncodeUploads) -> list[About]:
    if isinstance(body, EncodeBatch):
        return list(body.items)
    return [Upload(file=file, modality=body.modality) for file in body.file]
