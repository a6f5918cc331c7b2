"""POST /encode: one clip or sentence in, its code sequence out."""

from typing import Annotated

from fastapi import APIRouter, Depends

from app.api.deps import ServiceDep, body_schema, json_or_form
from app.api.problems import documents
from app.errors import InvalidMedia, TooLarge, UnsupportedBody
from app.schemas import EncodeResponse, EncodeSentence, EncodeUpload

router = APIRouter(tags=["encode"])
Body = Annotated[EncodeSentence | EncodeUpload, Depends(json_or_form(EncodeSentence, EncodeUpload))]


@router.post(
    "/encode",
    openapi_extra=body_schema(EncodeSentence, EncodeUpload),
    responses=documents(InvalidMedia, TooLarge, UnsupportedBody),
)
def encode(service: ServiceDep, body: Body) -> EncodeResponse:
    """Encode one clip, sound, picture or sentence into its two-layer code sequence."""
    return service.encode(body.source, body.modality)
