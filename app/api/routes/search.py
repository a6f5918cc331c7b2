"""POST /search: a sentence, a clip or an item in, the streams most like it out."""

from collections.abc import Iterator, Sequence
from itertools import islice

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from app.api.bodies import body_of, body_schema
from app.api.deps import Encoding, service_of
from app.api.plain_route import PlainRoute
from app.api.problems import documents
from app.errors import InvalidMedia, NotFound, Overloaded, TooLarge, UnsupportedBody
from app.schemas import (
    SearchLike,
    SearchMedia,
    SearchResponse,
    SearchSentence,
    SearchUpload,
)
from app.schemas.sources import QueryPart as WirePart
from app.service.query_arithmetic import Query, QueryPart
from app.service.service import Encoded

router = APIRouter(tags=["search"], route_class=PlainRoute)
SENT: dict[str, type[SearchSentence | SearchMedia | SearchLike]] = {
    "text": SearchSentence,
    "media": SearchMedia,
    "item": SearchLike,
}
read = body_of(SENT, SearchUpload)


@router.post(
    "/search",
    openapi_extra=body_schema(SENT, SearchUpload),
    responses=documents(InvalidMedia, TooLarge, UnsupportedBody, NotFound, Overloaded),
)
async def search(request: Request) -> SearchResponse:
    """Find the streams most like a sentence, a clip or an item of the index, best first.

    A clip with picture and sound asks with both: a hit's score is the better of the two, unless
    `modality` names one. `plus`, `minus` and `exclude` change the query: "like this clip, but
    without a dog" is the clip with `exclude: ["a dog"]`.
    """
    service, body = service_of(request), await read(request)
    service.searcher.check(body)
    encoded = iter(await Encoding(request).all([body, *body.plus, *body.minus, *body.exclude]))
    own = next(encoded)
    query = Query(
        own.queries,
        errors=own.errors,
        plus=_weighted(body.plus, encoded),
        minus=_weighted(body.minus, encoded),
        exclude=_weighted(body.exclude, encoded),
    )
    return await run_in_threadpool(service.searcher.find, query, body)


def _weighted(parts: Sequence[WirePart], encoded: Iterator[Encoded]) -> list[QueryPart]:
    """Take what ``parts`` name from the front of ``encoded``."""
    named = list(islice(encoded, len(parts)))
    return [QueryPart(own.queries, part.weight) for part, own in zip(parts, named, strict=True)]
