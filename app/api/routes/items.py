"""/items: what is in the index, item by item."""

from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status
from fastapi.responses import FileResponse
from pydantic import BeforeValidator

from app.api.deps import (
    ServiceDep,
    body_of,
    body_schema,
    service_of,
    where_given,
    where_if_given,
    while_connected,
)
from app.api.files import MediaResponse
from app.api.problems import PROBLEM, documents
from app.errors import (
    InvalidMedia,
    ItemExists,
    NotFound,
    Overloaded,
    StoreUnavailable,
    TooLarge,
    UnsupportedBody,
)
from app.schemas.fields import MAX_PAGE, ItemId
from app.schemas.filters import Where
from app.schemas.items import (
    AddMedia,
    AddSentence,
    AddUpload,
    DeletedItems,
    DuplicatesResponse,
    ItemPage,
    ItemResponse,
    MetadataChanges,
    PageOptions,
    PutMedia,
    PutSentence,
    PutUpload,
)

router = APIRouter(tags=["items"])
ADDED: dict[str, type[AddSentence | AddMedia]] = {"text": AddSentence, "media": AddMedia}
PUT: dict[str, type[PutSentence | PutMedia]] = {"text": PutSentence, "media": PutMedia}
read_new = body_of(ADDED, AddUpload)
read_content = body_of(PUT, PutUpload)
# Still percent-encoded (``HttpRules``): an id may contain a slash.
PathId = Annotated[ItemId, BeforeValidator(unquote), Path(alias="id")]


@router.post(
    "/items",
    status_code=status.HTTP_201_CREATED,
    openapi_extra=body_schema(ADDED, AddUpload),
    responses=documents(
        InvalidMedia, TooLarge, UnsupportedBody, ItemExists, StoreUnavailable, Overloaded
    ),
)
async def add_item(request: Request, response: Response) -> ItemResponse:
    """Encode a clip, sound, picture or sentence and store it under a new id."""
    body = await read_new(request)
    root = request.scope.get("root_path", "")
    response.headers["Location"] = f"{root}/items/{quote(body.id, safe='')}"
    work = service_of(request).add(body.id, body, metadata=body.metadata)
    return await while_connected(request, work)


@router.put(
    "/items/{id}",
    openapi_extra=body_schema(PUT, PutUpload),
    responses=documents(InvalidMedia, TooLarge, UnsupportedBody, StoreUnavailable, Overloaded),
)
async def put_item(request: Request, item_id: PathId) -> ItemResponse:
    """Encode a clip, sound, picture or sentence and store it in place of what had this id."""
    body = await read_content(request)
    work = service_of(request).add(item_id, body, metadata=body.metadata, replace=True)
    return await while_connected(request, work)


@router.get("/items", responses=documents())
async def list_items(
    service: ServiceDep,
    where: Annotated[Where | None, Depends(where_if_given)],
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Most items in the answer")] = 50,
    cursor: Annotated[str, Query(description="`next_cursor` of the page before this one")] = "",
    before: Annotated[
        str | None, Query(description="`previous_cursor` of the page after this one")
    ] = None,
) -> ItemPage:
    """List the items, or those that match a filter, by id and page by page."""
    options = PageOptions(after=cursor, before=before, limit=limit, where=where)
    return await service.page(options)


@router.delete("/items", responses=documents(StoreUnavailable))
async def delete_items(
    service: ServiceDep, where: Annotated[Where, Depends(where_given)]
) -> DeletedItems:
    """Delete all items that match a filter, and their stored media; `{}` matches every item.

    `GET /items` with the same filter lists them.
    """
    return await service.delete_where(where)


@router.get("/items/{id}", responses=documents(NotFound))
async def get_item(service: ServiceDep, item_id: PathId) -> ItemResponse:
    """Return one item."""
    return await service.get(item_id)


@router.patch("/items/{id}", responses=documents(NotFound, TooLarge, StoreUnavailable))
async def update_item(
    service: ServiceDep, item_id: PathId, changes: MetadataChanges
) -> ItemResponse:
    """Change the metadata of an item; its codes and media stay.

    The changes are a JSON Merge Patch (RFC 7396): fields are set, null removes a field, and
    objects are merged. With the first segment of long media, all its segments change.
    """
    return await service.update(item_id, changes.metadata)


@router.delete(
    "/items/{id}",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=documents(NotFound, StoreUnavailable),
)
async def delete_item(service: ServiceDep, item_id: PathId) -> None:
    """Delete one item and its stored media."""
    await service.delete(item_id)


@router.get(
    "/items/{id}/media",
    response_class=FileResponse,
    responses={
        **documents(NotFound),
        200: {"description": "The media", "content": {"application/octet-stream": {}}},
        206: {"description": "The bytes that the header Range asked for"},
        304: {"description": "The client has them already, says the header If-None-Match"},
        416: {"description": "The header Range asks for what is not there", "content": PROBLEM},
    },
)
async def get_media(service: ServiceDep, item_id: PathId) -> FileResponse:
    """Stream the media of an item, or the bytes that the header Range asks for.

    Media are stored of items that are added while `SRCID_KEEP_MEDIA` is true.
    """
    return MediaResponse(await service.media_file(item_id))


@router.get(
    "/items/{id}/thumbnail",
    response_class=FileResponse,
    responses={
        **documents(NotFound),
        200: {"description": "A small picture", "content": {"image/jpeg": {}}},
        304: {"description": "The client has it already, says the header If-None-Match"},
    },
)
async def get_thumbnail(service: ServiceDep, item_id: PathId) -> FileResponse:
    """Return a small JPEG of a clip's first second, or of a picture."""
    return MediaResponse(await service.thumbnail_file(item_id), media_type="image/jpeg")


@router.get("/items/{id}/duplicates", responses=documents(NotFound))
async def get_duplicates(service: ServiceDep, item_id: PathId) -> DuplicatesResponse:
    """Return the streams of other items with exactly the codes of this one's.

    Only streams of the same modality are compared.
    """
    return await service.duplicates(item_id)
