"""What routes are given: the service, and the body of the request as one of two models."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar, cast

import pydantic_core
from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from app.api.problems import invalid
from app.errors import InvalidRequest, UnsupportedBody
from app.service import RetrievalService

JSON, FORM = "application/json", "multipart/form-data"
LISTS = {"targets"}  # fields of a form that may be given several times
OBJECTS = {"metadata"}  # fields of a form that are JSON themselves

Sent = TypeVar("Sent", bound=BaseModel)
Uploaded = TypeVar("Uploaded", bound=BaseModel)


def get_service(request: Request) -> RetrievalService:
    """Return the service that ``create_app`` made."""
    return cast(RetrievalService, request.app.state.service)


ServiceDep = Annotated[RetrievalService, Depends(get_service)]


def json_or_form(
    sent: type[Sent], uploaded: type[Uploaded]
) -> Callable[[Request], Awaitable[Sent | Uploaded]]:
    """Return a dependency that reads JSON as ``sent`` and a multipart form as ``uploaded``.

    Raises:
        InvalidRequest: The body does not fit the model; the message names the field.
        UnsupportedBody: The body has another media type.
    """

    async def read(request: Request) -> Sent | Uploaded:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            if media_type == JSON:
                return sent.model_validate(_parsed(await request.body(), "the body"))
            if media_type == FORM:
                return uploaded.model_validate(await _fields(request))
        except ValidationError as error:
            raise invalid(list(error.errors())) from None
        raise UnsupportedBody(
            f"the body has content type {media_type or 'none'!r}: send media as {FORM} with a "
            f"field named file, or a sentence as {JSON} with a field named text"
        )

    return read


def body_schema(sent: type[BaseModel], uploaded: type[BaseModel]) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route whose body ``json_or_form`` reads."""
    content = {JSON: {"schema": _inlined(sent)}, FORM: {"schema": _inlined(uploaded)}}
    return {"requestBody": {"required": True, "content": content}}


async def _fields(request: Request) -> dict[str, object]:
    """Read a form: files as bytes, everything else as text or the JSON that it holds."""
    fields: dict[str, object] = {}
    async with request.form() as form:
        for name in form:
            values = form.getlist(name)
            if len(values) > 1 and name not in LISTS:
                raise InvalidRequest(f"{name} is given {len(values)} times: give it once")
            value = values[0]
            if isinstance(value, UploadFile):
                fields[name] = await value.read()
            elif name in OBJECTS:
                fields[name] = _parsed(value.encode(), name)
            else:
                fields[name] = list(values) if name in LISTS else value
    if not isinstance(fields.get("file", b""), bytes):
        raise InvalidRequest("file is text: upload it as a file (curl: -F file=@clip.mp4)")
    return fields


def _parsed(data: bytes, what: str) -> object:
    """Read JSON, refusing what has no exact meaning: NaN, unpaired surrogates, endless nesting."""
    try:
        return pydantic_core.from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidRequest(f"{what} is not JSON: {error}") from None


def _inlined(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of ``model`` without references, as it stands inside a document."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolve(definitions[node["$ref"].rpartition("/")[2]])
            return {key: resolve(value) for key, value in node.items()}
        return [resolve(part) for part in node] if isinstance(node, list) else node

    return cast(dict[str, Any], resolve(schema))
