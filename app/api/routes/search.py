"""POST /search: a sentence, a clip or an item in, the most similar streams out."""

from fastapi import APIRouter, Request

from app.api.deps import PlainRoute, body_of, body_schema, service_of, while_connected
from app.api.problems import documents
from app.errors import InvalidMedia, NotFound, Overloaded, TooLarge, UnsupportedBody
from app.schemas.search import (
    SearchLike,
    SearchMedia,
    SearchResponse,
    SearchSentence,
    SearchUpload,
)

router = APIRouter(tags=["search"], route_class=PlainRoute)
QUERIES: dict[str, type[SearchSentence | SearchMedia | SearchLike]] = {
    "text": SearchSentence,
    "media": SearchMedia,
    "item": SearchLike,
}
read_query = body_of(QUERIES, SearchUpload)


@router.post(
    "/search",
    openapi_extra=body_schema(QUERIES, SearchUpload),
    responses=documents(InvalidMedia, TooLarge, UnsupportedBody, NotFound, Overloaded),
)
async def search(request: Request) -> SearchResponse:
    """Find the streams most similar to a sentence, a clip or an item of the index, best first.

    A clip with picture and sound searches with both: a hit's score is the better of the two,
    unless `modality` names one. `plus`, `minus` and `exclude` change the query: "like this clip,
    but without a dog" is the clip with `exclude: ["a dog"]`.
    """
    query = await read_query(request)
    return await while_connected(request, service_of(request).search(query, query))
