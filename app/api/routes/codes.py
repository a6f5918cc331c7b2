"""The codes themselves: cards, patterns, comparisons."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from app.api.deps import ServiceDep, while_connected
from app.api.problems import documents
from app.errors import InvalidMedia, NotFound, Overloaded, TooLarge
from app.schemas.codes import (
    CodeResponse,
    CompareRequest,
    CompareResponse,
    PatternResponse,
    PatternSearch,
)

router = APIRouter(tags=["codes"])
Small = Annotated[int, Path(ge=0, lt=2**15)]


@router.get("/codes/{layer}/{code}", responses=documents(NotFound))
async def get_code(
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
    return await service.code(layer, code, row=row)


@router.post("/search/codes", responses=documents())
async def search_codes(service: ServiceDep, body: PatternSearch) -> PatternResponse:
    """Find where codes follow one another in time (n-grams), within each modality."""
    return await service.search_codes(body)


@router.post("/compare", responses=documents(InvalidMedia, TooLarge, NotFound, Overloaded))
async def compare(service: ServiceDep, request: Request, body: CompareRequest) -> CompareResponse:
    """Compare two things second by second: a heat map for each pair of their streams."""
    work = service.compare(body.a, body.b, layers=body.layers)
    return await while_connected(request, work)
