"""Codes themselves: cards, patterns, comparisons."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool

from app.api.deps import Encoding, ServiceDep, service_of
from app.api.problems import documents
from app.errors import InvalidMedia, NotFound, Overloaded, TooLarge
from app.schemas import (
    CodeResponse,
    CompareRequest,
    CompareResponse,
    PatternResponse,
    PatternSearch,
)

router = APIRouter(tags=["codes"])
Small = Annotated[int, Path(ge=0, lt=2**15)]


@router.get("/codes/{layer}/{code}", responses=documents(NotFound))
def get_code(
    service: ServiceDep,
    layer: Small,
    code: Small,
    row: Annotated[
        int | None,
        Query(ge=0, lt=64, description="Row of the codes, where the layer has several"),
    ] = None,
) -> CodeResponse:
    """Return the code card: what the items of the index say about the meaning of one code.

    Where it stands, how often, for which words and beside which other codes. Whether the same
    code means the same in two modalities is measured, as `agreement`, never assumed.
    """
    return service.codes.card(layer, code, row=row)


@router.post("/search/codes", responses=documents())
def search_codes(service: ServiceDep, body: PatternSearch) -> PatternResponse:
    """Find where codes follow one another in time (n-grams), within each modality."""
    service.searcher.targets(body.targets)
    return service.codes.occurrences(body.pattern, row=body.row, targets=body.targets, k=body.k)


@router.post("/compare", responses=documents(InvalidMedia, TooLarge, NotFound, Overloaded))
async def compare(request: Request, body: CompareRequest) -> CompareResponse:
    """Compare two things second by second: a heat map for each pair of their streams."""
    service = service_of(request)
    layers = service.searcher.layers(body.layers)
    a, b = await Encoding(request).all([body.a, body.b])
    return await run_in_threadpool(service.codes.compare, a.codes, b.codes, layers=layers)
