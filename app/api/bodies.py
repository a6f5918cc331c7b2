"""The body of a request as one of several models: JSON, a form, or media as they are."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

import pydantic_core
from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from app.api.deps import service_of
from app.api.problems import invalid
from app.errors import InvalidRequest, UnsupportedBody

JSON, FORM = "application/json", "multipart/form-data"
RAW = ("audio/*", "video/*", "image/*", "application/octet-stream")
LISTS = {"targets"}  # fields of a form that may be given several times
OBJECTS = {"metadata", "where", "plus", "minus", "exclude"}  # that are JSON themselves

Sent = TypeVar("Sent", bound=BaseModel)
Uploaded = TypeVar("Uploaded", bound=BaseModel)


def body_of(
    sent: Mapping[str, type[Sent]], uploaded: type[Uploaded], *, files: int = 1
) -> Callable[[Request], Awaitable[Sent | Uploaded]]:
    """Return what reads JSON, a multipart form, or media as they are.

    What the query string names are fields too: of media as they are, all but the file. While no
    more media can be taken, a file is refused before it is read.

    Args:
        sent: The model of a JSON body, by the field that tells it from the others.
        uploaded: The model of a form, and of a body that is the file itself.
        files: How many fields named file a form may have; one file comes as bytes, not a list.

    Raises:
        InvalidRequest: The body does not fit the model; the message names the field.
        Overloaded: It is a file, and as many wait as may.
        UnsupportedBody: The body has another media type.
    """

    async def read(request: Request) -> Sent | Uploaded:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        given = _fields(request.query_params.multi_items())
        try:
            if media_type == JSON:
                return _sent(_parsed(await request.body(), "the body"), sent, given)
            if (media_type == FORM or _is_raw(media_type)) and files == 1:
                service_of(request).engine.check_room()
            if media_type == FORM:
                form = await _form(request, files=files)
                return uploaded.model_validate(_merged(given, form))
            if _is_raw(media_type):
                data = await request.body()
                file = data if files == 1 else [data]
                return uploaded.model_validate(_merged(given, {"file": file}))
        except ValidationError as error:
            raise invalid(list(error.errors())) from None
        raise UnsupportedBody(
            f"the body has content type {media_type or 'none'!r}: send media as {FORM} with a "
            "field named file, or as they are under their own type (audio/wav, video/mp4, "
            f"image/png, application/octet-stream), or a sentence as {JSON} with a field named text"
        )

    return read


def body_schema(sent: Mapping[str, type[BaseModel]], uploaded: type[BaseModel]) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route whose body ``body_of`` reads."""
    models = [_inlined(model) for model in sent.values()]
    form = _inlined(uploaded)
    raw = {"type": "string", "format": "binary", "title": "Media"}
    content = {
        JSON: {"schema": models[0] if len(models) == 1 else {"anyOf": models}},
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


def _sent(body: object, sent: Mapping[str, type[Sent]], given: Mapping[str, object]) -> Sent:
    """Return a JSON body as the model whose field it has; as the first where it has none."""
    first = next(iter(sent))
    if not isinstance(body, dict):
        return sent[first].model_validate(body)
    name = next((name for name in sent if name in body), first)
    return sent[name].model_validate(_merged(given, body))


def _is_raw(media_type: str) -> bool:
    kind = media_type.partition("/")[0]
    return media_type in RAW or (f"{kind}/*" in RAW and media_type != f"{kind}/")


def _merged(given: Mapping[str, object], body: Mapping[str, object]) -> dict[str, object]:
    for name in given.keys() & body.keys():
        raise InvalidRequest(f"{name} stands in the query string and in the body: give it once")
    return {**given, **body}


async def _form(request: Request, *, files: int) -> dict[str, object]:
    """Read a form: files as bytes, everything else as text or the JSON that it holds."""
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
    """Return fields by name: JSON where they hold it, lists where they may be given again."""
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
            return {key: resolve(value) for key, value in node.items() if key != "discriminator"}
        return [resolve(part) for part in node] if isinstance(node, list) else node

    return cast(dict[str, Any], resolve(schema))
