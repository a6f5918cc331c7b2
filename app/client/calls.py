"""Every call of the service as a value: the request, and the type of its response."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, JsonValue

from app.schemas.codes import CodeResponse, CompareResponse, PatternResponse
from app.schemas.encoding import BatchResponse, EmbeddingsResponse, EncodeResponse
from app.schemas.fields import Layers
from app.schemas.filters import Filter
from app.schemas.items import DeletedItems, DuplicatesResponse, ItemPage, ItemResponse, PageFields
from app.schemas.jobs import Job, JobList
from app.schemas.search import SearchFields, SearchResponse
from app.schemas.service import Health, ModelInfo
from app.schemas.sources import ItemReference, Source
from model.files import check_sentence, sha256
from model.modality import Modality

Answer = TypeVar("Answer", bound=BaseModel)
Media = bytes | Path  # a video, sound, picture or features, as bytes or as a file to stream


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """One request."""

    method: str
    path: str
    answer: type[Answer] | None  # None: the response has no body, or is not JSON
    fields: Mapping[str, object] = field(default_factory=dict)  # None values are omitted
    file: Media | None = None  # if present, the fields are sent as a form
    is_repeatable: bool = True  # harmless if sent twice

    def read(self, content: bytes) -> Answer:
        """Return the parsed body of a response."""
        assert self.answer is not None
        return self.answer.model_validate_json(content)

    @contextmanager
    def opened(self) -> Iterator[dict[str, Any]]:
        """Yield keyword arguments for httpx2's ``request``, with the file open."""
        given = {name: value for name, value in self.fields.items() if value is not None}
        if self.method in {"GET", "DELETE"}:
            yield {"params": given}
        elif self.file is None:
            yield {"json": given}
        elif isinstance(self.file, Path):
            with self.file.open("rb") as file:
                yield {"data": _form(given), "files": {"file": ("media", file)}}
        else:
            yield {"data": _form(given), "files": {"file": ("media", self.file)}}


def encode(
    source: Source, *, modality: Modality | str | None, floats: bool
) -> Call[EncodeResponse]:
    """Return the call that encodes one source."""
    return _about(source, "POST", "/encode", EncodeResponse, modality=modality, floats=floats)


def encode_batch(sources: Sequence[Media | str], *, floats: bool) -> Call[BatchResponse]:
    """Return the call that encodes several sources."""
    items = [_subject(source) for source in sources]
    return Call("POST", "/encode/batch", BatchResponse, {"items": items, "floats": floats})


def embed(inputs: str | Sequence[str]) -> Call[EmbeddingsResponse]:
    """Return the call that turns sentences and ``data:`` URIs into vectors."""
    given = inputs if isinstance(inputs, str) else list(inputs)
    return Call("POST", "/v1/embeddings", EmbeddingsResponse, {"input": given})


def search(source: Source, options: SearchFields) -> Call[SearchResponse]:
    """Return the call that searches."""
    return _about(source, "POST", "/search", SearchResponse, **options)


def search_codes(
    pattern: Sequence[Sequence[int | None]],
    *,
    row: int | None,
    targets: Sequence[Modality | str] | None,
    k: int,
) -> Call[PatternResponse]:
    """Return the call that finds a sequence of codes."""
    fields = {"pattern": [list(codes) for codes in pattern], "row": row, "targets": targets, "k": k}
    return Call("POST", "/search/codes", PatternResponse, fields)


def compare(a: Source, b: Source, *, layers: Layers) -> Call[CompareResponse]:
    """Return the call that compares two sources second by second."""
    fields = {"a": _subject(a), "b": _subject(b), "layers": layers}
    return Call("POST", "/compare", CompareResponse, fields)


def code(layer: int, code: int, *, row: int | None) -> Call[CodeResponse]:
    """Return the call that asks what a code means."""
    return Call("GET", f"/codes/{layer}/{code}", CodeResponse, {"row": row})


def add(item_id: str, source: Media | str, metadata: Mapping[str, JsonValue]) -> Call[ItemResponse]:
    """Return the call that adds an item. If sent twice, the second gets ``ItemExists``."""
    return _about(source, "POST", "/items", ItemResponse, id=item_id, metadata=metadata)


def put(item_id: str, source: Media | str, metadata: Mapping[str, JsonValue]) -> Call[ItemResponse]:
    """Return the call that adds or replaces an item."""
    return _about(source, "PUT", _item(item_id), ItemResponse, metadata=metadata)


def get(item_id: str) -> Call[ItemResponse]:
    """Return the call that gets an item."""
    return Call("GET", _item(item_id), ItemResponse)


def delete(item_id: str) -> Call[BaseModel]:
    """Return the call that removes an item."""
    return Call("DELETE", _item(item_id), None)


def update(item_id: str, metadata: Mapping[str, JsonValue]) -> Call[ItemResponse]:
    """Return the call that changes an item's metadata."""
    return Call("PATCH", _item(item_id), ItemResponse, {"metadata": metadata})


def delete_where(where: Filter) -> Call[DeletedItems]:
    """Return the call that removes all items that match a filter."""
    return Call("DELETE", "/items", DeletedItems, {"where": json.dumps(where)})


def page(options: PageFields) -> Call[ItemPage]:
    """Return the call that lists a page of items."""
    where = options.get("where")
    given = {
        "cursor": options.get("after"),
        "before": options.get("before"),
        "limit": options.get("limit"),
        "where": None if where is None else json.dumps(where),
    }
    return Call("GET", "/items", ItemPage, given)


def media(item_id: str) -> Call[BaseModel]:
    """Return the call that downloads the stored media of an item."""
    return Call("GET", f"{_item(item_id)}/media", None)


def thumbnail(item_id: str) -> Call[BaseModel]:
    """Return the call that downloads the thumbnail of an item."""
    return Call("GET", f"{_item(item_id)}/thumbnail", None)


def duplicates(item_id: str) -> Call[DuplicatesResponse]:
    """Return the call that finds items with the same codes."""
    return Call("GET", f"{_item(item_id)}/duplicates", DuplicatesResponse)


def start_job(folder: str, *, manifest: str | None, metadata: Mapping[str, JsonValue]) -> Call[Job]:
    """Return the call that starts indexing a folder. If sent twice, the job runs twice."""
    fields = {"folder": folder, "manifest": manifest, "metadata": metadata}
    return Call("POST", "/jobs/index", Job, fields, is_repeatable=False)


def jobs() -> Call[JobList]:
    """Return the call that lists jobs."""
    return Call("GET", "/jobs", JobList)


def job(job_id: str) -> Call[Job]:
    """Return the call that gets a job."""
    return Call("GET", _job(job_id), Job)


def cancel_job(job_id: str) -> Call[Job]:
    """Return the call that cancels a job."""
    return Call("DELETE", _job(job_id), Job)


def job_events(job_id: str) -> Call[Job]:
    """Return the call that follows a job, as server-sent events."""
    return Call("GET", f"{_job(job_id)}/events", Job)


def model() -> Call[ModelInfo]:
    """Return the call that describes the model."""
    return Call("GET", "/model", ModelInfo)


def ready() -> Call[Health]:
    """Return the call that checks readiness."""
    return Call("GET", "/readyz", Health)


def is_of(item: ItemResponse, source: Media | str, metadata: Mapping[str, JsonValue]) -> bool:
    """Return whether an item holds this source and metadata, as after a lost response."""
    return item.sha256 == sha256(source) and item.metadata == metadata


def event_data(line: str) -> bytes | None:
    """Return the data of a line of server-sent events, if it has any."""
    name, _, value = line.partition(":")
    return value.strip().encode() if name == "data" else None


def _about(
    source: Source, method: str, path: str, answer: type[Answer], **fields: object
) -> Call[Answer]:
    if isinstance(source, bytes | Path):
        return Call(method, path, answer, fields, file=source)
    return Call(method, path, answer, {**fields, **_subject(source)})


def _subject(source: Source) -> dict[str, str]:
    """Return the JSON fields of a source."""
    if isinstance(source, str):
        check_sentence(source)
        return {"text": source}
    if isinstance(source, ItemReference):
        return {"item": source.item_id}
    data = source.read_bytes() if isinstance(source, Path) else source
    return {"media": base64.b64encode(data).decode()}


def _form(fields: Mapping[str, object]) -> dict[str, object]:
    """Return form fields: text, lists of text, or JSON for anything else."""

    def text(name: str, value: object) -> object:
        if name == "targets" and isinstance(value, Sequence) and not isinstance(value, str):
            return list(value)
        return value if isinstance(value, str) else json.dumps(value)

    return {name: text(name, value) for name, value in fields.items()}


def _item(item_id: str) -> str:
    return f"/items/{quote(item_id, safe='')}"


def _job(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"
