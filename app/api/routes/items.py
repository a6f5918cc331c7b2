"""/items: what is in the index, item by item."""

from pathlib import Path as FilePath
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response, status
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from app.api.bodies import body_of, body_schema
from app.api.deps import Encoding, ServiceDep, service_of
from app.api.kept_file import KeptFile
from app.api.media_types import media_type_of
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
from app.schemas import (
    MAX_PAGE,
    AddMedia,
    AddSentence,
    AddUpload,
    DuplicatesResponse,
    ItemId,
    ItemPage,
    ItemResponse,
    PutMedia,
    PutSentence,
    PutUpload,
)

router = APIRouter(tags=["items"])
ADDED: dict[str, type[AddSentence | AddMedia]] = {"text": AddSentence, "media": AddMedia}
PUT: dict[str, type[PutSentence | PutMedia]] = {"text": PutSentence, "media": PutMedia}
read_new = body_of(ADDED, AddUpload)
read_content = body_of(PUT, PutUpload)
PathId = Annotated[ItemId, Path(alias="id")]
# What strangers uploaded must not run in a page of ours, whatever it says that it is.
SANDBOX = {
    "Content-Security-Policy": "default-src 'none'; media-src 'self'; img-src 'self'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


@router.post(
    "/items",
    status_code=status.HTTP_201_CREATED,
    openapi_extra=body_schema(ADDED, AddUpload),
    responses=documents(
        InvalidMedia, TooLarge, UnsupportedBody, ItemExists, StoreUnavailable, Overloaded
    ),
)
async def add_item(request: Request, response: Response) -> ItemResponse:
    """Encode a clip, sound, picture or sentence and keep it under a new id."""
    body = await read_new(request)
    root = request.scope.get("root_path", "")
    response.headers["Location"] = f"{root}/items/{quote(body.id, safe='')}"
    return await _keep(request, body.id, body, replace=False)


@router.put(
    "/items/{id}",
    openapi_extra=body_schema(PUT, PutUpload),
    responses=documents(InvalidMedia, TooLarge, UnsupportedBody, StoreUnavailable, Overloaded),
)
async def put_item(request: Request, item_id: PathId) -> ItemResponse:
    """Encode a clip, sound, picture or sentence and keep it, in place of what had this id."""
    return await _keep(request, item_id, await read_content(request), replace=True)


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
    """Remove one item, and the media that were kept of it."""
    service.delete(item_id)


@router.get(
    "/items/{id}/media",
    response_class=FileResponse,
    responses={
        **documents(NotFound),
        200: {"description": "The media", "content": {"application/octet-stream": {}}},
        206: {"description": "The bytes that the header Range asked for"},
        416: {"description": "The header Range asks for what is not there", "content": PROBLEM},
    },
)
def get_media(service: ServiceDep, item_id: PathId) -> FileResponse:
    """Stream the media of an item, or the bytes of it that the header Range asks for.

    Media are kept of what is added while `SRCID_KEEP_MEDIA` is true.
    """
    path = service.items.file(item_id)
    return _file(path, media_type_of(path))


@router.get(
    "/items/{id}/thumbnail",
    response_class=FileResponse,
    responses={
        **documents(NotFound),
        200: {"description": "A small picture", "content": {"image/jpeg": {}}},
    },
)
def get_thumbnail(service: ServiceDep, item_id: PathId) -> FileResponse:
    """Return a small JPEG of a clip's first second, or of a picture."""
    return _file(service.items.file(item_id, is_thumbnail=True), "image/jpeg")


@router.get("/items/{id}/duplicates", responses=documents(NotFound))
def get_duplicates(service: ServiceDep, item_id: PathId) -> DuplicatesResponse:
    """Return the streams of other items with exactly the codes of this one's.

    Only streams of the same modality are compared.
    """
    return service.codes.duplicates(item_id)


async def _keep(
    request: Request, item_id: str, body: PutSentence | PutMedia | PutUpload, *, replace: bool
) -> ItemResponse:
    items, metadata = service_of(request).items, body.metadata
    await run_in_threadpool(items.check, item_id, metadata=metadata, replace=replace)
    encoded = await Encoding(request)(body)
    return await run_in_threadpool(
        items.keep, item_id, body.source, encoded, metadata=metadata, replace=replace
    )


def _file(path: FilePath, media_type: str) -> FileResponse:
    return KeptFile(path, media_type=media_type, headers=SANDBOX)
