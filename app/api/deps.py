"""What routes share: the service, the request's body, routes without FastAPI's overhead."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Annotated, Any, TypeVar, cast

import pydantic_core
from fastapi import Depends, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, HTTPConnection

from app.api.problems import reject
from app.errors import InvalidRequest, ServiceError, UnsupportedBody
from app.schemas.filters import Where
from app.service.async_service import AsyncRetrievalService

Result = TypeVar("Result")


def service_of(connection: HTTPConnection) -> AsyncRetrievalService:
    """Return the service that ``create_app`` made."""
    return cast(AsyncRetrievalService, connection.app.state.service)


async def get_service(connection: HTTPConnection) -> AsyncRetrievalService:
    """Return the service, as a dependency. A coroutine: FastAPI runs others in its thread pool."""
    return service_of(connection)


ServiceDep = Annotated[AsyncRetrievalService, Depends(get_service)]


class PlainRoute(APIRoute):
    """A route whose function takes the request and returns a pydantic model, for hot paths.

    FastAPI would look for parameters, validate the response once more, and pass errors up through
    all that: half a millisecond where a sentence takes ten, and twice the time of a rejection.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function that answers a request."""
        endpoint = self.endpoint

        async def answer(request: Request) -> Response:
            try:
                model = await endpoint(request)
            except ServiceError as error:
                return await reject(error)
            return Response(model.model_dump_json(by_alias=True), media_type="application/json")

        return answer


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of ``work``, which is cancelled if the client disconnects.

    The request's body must have been read. ``work`` is awaited directly, not as a task: every
    extra turn of the event loop has to wait for the network's threads to release the GIL.

    Raises:
        ClientDisconnect: The client has gone.
    """
    task = asyncio.current_task()
    assert task is not None
    watcher = asyncio.create_task(_cancel_on_disconnect(request, task))
    try:
        return await work
    except asyncio.CancelledError:
        has_left = watcher.done() and not watcher.cancelled()
        if has_left and not task.uncancel():
            raise ClientDisconnect from None
        raise  # cancelled by somebody else: the server is being stopped
    finally:
        watcher.cancel()


async def _cancel_on_disconnect(request: Request, task: "asyncio.Task[object]") -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    task.cancel()


JSON, FORM = "application/json", "multipart/form-data"
RAW = ("audio/*", "video/*", "image/*", "application/octet-stream")
LISTS = {"targets"}  # form fields that may be repeated
OBJECTS = {"metadata", "where", "plus", "minus", "exclude"}  # form fields that hold JSON

WHERE = Query(description="Metadata filter, as JSON", examples=['{"album": "farm"}'])

JsonBody = TypeVar("JsonBody", bound=BaseModel)
UploadBody = TypeVar("UploadBody", bound=BaseModel)


def body_of(
    models: Mapping[str, type[JsonBody]], upload: type[UploadBody], *, files: int = 1
) -> Callable[[Request], Awaitable[JsonBody | UploadBody]]:
    """Return a reader of JSON, multipart forms and raw media.

    Query parameters are fields too; with raw media they are every field except the file. A file
    is rejected before it is read if the queue is full.

    Args:
        models: The models of a JSON body, by the field that distinguishes each.
        upload: The model of a form, and of a raw body.
        files: The most fields named file of a form; a single file is bytes, not a list.

    Raises:
        InvalidRequest: The body does not fit the model; the message names the field.
        Overloaded: It is a file, and the queue is full.
        UnsupportedBody: The body has another media type.
    """

    async def read(request: Request) -> JsonBody | UploadBody:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        params = _fields(request.query_params.multi_items())
        try:
            if media_type == JSON:
                return _json_body(_parsed(await request.body(), "the body"), models, params)
            if (media_type == FORM or _is_raw(media_type)) and files == 1:
                service_of(request).check_room()
            if media_type == FORM:
                form = await _form(request, files=files)
                return upload.model_validate(_merged(params, form))
            if _is_raw(media_type):
                data = await request.body()
                file = data if files == 1 else [data]
                return upload.model_validate(_merged(params, {"file": file}))
        except ValidationError as error:
            raise InvalidRequest.of_fields(error.errors()) from None
        raise UnsupportedBody(
            f"the body has content type {media_type or 'none'!r}: send media as {FORM} with a "
            "field named file, or raw under their own type (audio/wav, video/mp4, image/png, "
            f"application/octet-stream), or a sentence as {JSON} with a field named text"
        )

    return read


def body_schema(models: Mapping[str, type[BaseModel]], upload: type[BaseModel]) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route whose body ``body_of`` reads."""
    schemas = [_inlined(model) for model in models.values()]
    form = _inlined(upload)
    raw = {"type": "string", "format": "binary", "title": "Media"}
    content = {
        JSON: {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}},
        FORM: {"schema": form},
        **{kind: {"schema": raw} for kind in RAW},
    }
    parameters = [
        {
            "name": name,
            "in": "query",
            "schema": {key: value for key, value in schema.items() if key != "description"},
            "description": f"{schema.get('description', 'As in the form')} (of raw media)",
        }
        for name, schema in form["properties"].items()
        if name != "file" and name not in OBJECTS
    ]
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": parameters,
    }


def where_given(where: Annotated[str, WHERE]) -> Where:
    """Return the filter in the query string, which is JSON there.

    Raises:
        InvalidRequest: It is no filter.
    """
    try:
        return Where.model_validate(_parsed(where.encode(), "where"))
    except ValidationError as error:
        errors = [{**each, "loc": ("where", *each["loc"])} for each in error.errors()]
        raise InvalidRequest.of_fields(errors) from None


def where_if_given(where: Annotated[str | None, WHERE] = None) -> Where | None:
    """Return the filter in the query string, or None."""
    return None if where is None else where_given(where)


def _json_body(
    body: object, models: Mapping[str, type[JsonBody]], params: Mapping[str, object]
) -> JsonBody:
    """Return a JSON body as the model whose field it has, or else as the first model."""
    first = next(iter(models))
    if not isinstance(body, dict):
        return models[first].model_validate(body)
    name = next((name for name in models if name in body), first)
    return models[name].model_validate(_merged(params, body))


def _is_raw(media_type: str) -> bool:
    kind = media_type.partition("/")[0]
    return media_type in RAW or (f"{kind}/*" in RAW and media_type != f"{kind}/")


def _merged(params: Mapping[str, object], body: Mapping[str, object]) -> dict[str, object]:
    for name in params.keys() & body.keys():
        raise InvalidRequest(f"{name} is in the query string and in the body: give it once")
    return {**params, **body}


async def _form(request: Request, *, files: int) -> dict[str, object]:
    """Read a form: files as bytes, other fields as text or the JSON that they hold."""
    uploads: list[bytes] = []
    texts: list[tuple[str, str]] = []
    async with request.form(max_files=max(files, 8), max_fields=64) as form:
        for name, value in form.multi_items():
            if not isinstance(value, UploadFile):
                texts.append((name, value))
            elif name == "file":
                uploads.append(await value.read())
            else:
                raise InvalidRequest(f"{name} is a file: name the field file (-F file=@clip.mp4)")
    fields = _fields(texts)
    if "text" in fields and not uploads:
        raise InvalidRequest(
            f"a form is for a file: send a sentence as JSON ({JSON}) with a field named text"
        )
    if "file" in fields:
        raise InvalidRequest("file is text: upload it as a file (curl: -F file=@clip.mp4)")
    if len(uploads) > files:
        raise InvalidRequest(f"file is given {len(uploads)} times, at most {files}: send fewer")
    if uploads:
        fields["file"] = uploads[0] if files == 1 else uploads
    return fields


def _fields(pairs: list[tuple[str, str]]) -> dict[str, object]:
    """Return fields by name: those of ``OBJECTS`` as JSON, those of ``LISTS`` as lists."""
    fields: dict[str, object] = {}
    for name, value in pairs:
        if name in LISTS:
            fields[name] = [*cast(list[str], fields.get(name, [])), value]
        elif name in fields:
            raise InvalidRequest(f"{name} is given several times: give it once")
        else:
            fields[name] = _parsed(value.encode(), name) if name in OBJECTS else value
    return fields


def _parsed(data: bytes, what: str) -> object:
    """Parse JSON, rejecting what has no exact meaning: NaN, lone surrogates, endless nesting."""
    try:
        return pydantic_core.from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidRequest(f"{what} is not JSON: {error}") from None


def _inlined(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of ``model`` without references, for use inside a document."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolve(definitions[node["$ref"].rpartition("/")[2]])
            return {key: resolve(value) for key, value in node.items() if key != "discriminator"}
        return [resolve(part) for part in node] if isinstance(node, list) else node

    return cast(dict[str, Any], resolve(schema))
