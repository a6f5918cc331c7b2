"""POST /search: a sentence or a clip in, the streams most like it out."""

from typing import Annotated

from fastapi import APIRouter, Depends

from app.api.deps import ServiceDep, body_schema, json_or_form
from app.api.problems import documents
from app.errors import InvalidMedia, TooLarge, UnsupportedBody
from app.schemas import SearchResponse, SearchSentence, SearchUpload

router = APIRouter(tags=["search"])
Body = Annotated[SearchSentence | SearchUpload, Depends(json_or_form(SearchSentence, SearchUpload))]


@router.post(
    "/search",
    openapi_extra=body_schema(SearchSentence, SearchUpload),
    responses=documents(InvalidMedia, TooLarge, UnsupportedBody),
)
def search(service: ServiceDep, body: Body) -> SearchResponse:
    """Find the streams most like a sentence or a clip, best first.

    A clip with picture and sound asks with both: a hit's score is the better of the two, unless
    `modality` names one.
    """
    return service.search(
        body.source,
        targets=body.targets,
        k=body.k,
        layers=body.layers,
        modality=body.modality,
    )
