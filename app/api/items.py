"""/items: what is in the index, item by item."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Response, status

from app.api.deps import ServiceDep, body_schema, json_or_form
from app.api.problems import documents
from app.errors import (
    InvalidMedia,
    ItemExists,
    NotFound,
    StoreUnavailable,
    TooLarge,
    UnsupportedBody,
)
from app.schemas import (
    MAX_PAGE,
    AddSentence,
    AddUpload,
    ItemId,
    ItemPage,
    ItemResponse,
    PutSentence,
    PutUpload,
)

router = APIRouter(tags=["items"])
NewItem = Annotated[AddSentence | AddUpload, Depends(json_or_form(AddSentence, AddUpload))]
Content = Annotated[PutSentence | PutUpload, Depends(json_or_form(PutSentence, PutUpload))]
PathId = Annotated[ItemId, Path(alias="id")]


@router.post(
    "/items",
    status_code=status.HTTP_201_CREATED,
    openapi_extra=body_schema(AddSentence, AddUpload),
    responses=documents(InvalidMedia, TooLarge, UnsupportedBody, ItemExists, StoreUnavailable),
)
def add_item(service: ServiceDep, body: NewItem, response: Response) -> ItemResponse:
    """Encode a clip, sound, picture or sentence and keep it under a new id."""
    item = service.add(body.id, body.source, metadata=body.metadata, replace=False)
    response.headers["Location"] = f"/items/{quote(item.id, safe='')}"
    return item


@router.put(
    "/items/{id}",
    openapi_extra=body_schema(PutSentence, PutUpload),
    responses=documents(InvalidMedia, TooLarge, UnsupportedBody, StoreUnavailable),
)
def put_item(service: ServiceDep, item_id: PathId, body: Content) -> ItemResponse:
    """Encode a clip, sound, picture or sentence and keep it, in place of what had this id."""
    return service.add(item_id, body.source, metadata=body.metadata, replace=True)


@router.get("/items", responses=documents())
def list_items(
    service: ServiceDep,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Most items in the answer")] = 50,
    cursor: Annotated[str, Query(description="`next_cursor` of the page before")] = "",
) -> ItemPage:
    """List the items by id, page by page."""
    return service.page(after=cursor, limit=limit)


@router.get("/items/{id}", responses=documents(NotFound))
def get_item(service: ServiceDep, item_id: PathId) -> ItemResponse:
    """Return one item."""
    return service.get(item_id)


@router.delete(
    "/items/{id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=documents(NotFound, StoreUnavailable),
)
def delete_item(service: ServiceDep, item_id: PathId) -> None:
    """Remove one item."""
    service.delete(item_id)
