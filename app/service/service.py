"""The service in Python and for commands: the calls of the HTTP client, in this process."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from pydantic import BaseModel, JsonValue, ValidationError

from app.blocking import blocking, finish
from app.engine.engine import Encoded, Engine
from app.errors import InvalidRequest
from app.schemas.codes import CompareResponse, PatternResponse, PatternSearch
from app.schemas.encoding import EncodeResponse
from app.schemas.fields import ITEM_ID, Layers
from app.schemas.filters import Filter, Where
from app.schemas.items import DeletedItems, ItemPage, ItemResponse, PageFields, PageOptions
from app.schemas.search import SearchFields, SearchOptions, SearchResponse
from app.schemas.sources import HasSource, ItemReference, Source, Subject
from app.service.async_service import AsyncRetrievalService
from app.service.items import Items
from model.calibration import Calibration
from model.errors import reason_of
from model.modality import Modality

Request = TypeVar("Request", bound=BaseModel)
Result = TypeVar("Result")


class _BlockingService(AsyncRetrievalService):
    """Does everything in the calling thread, and so never suspends."""

    async def _encode(self, subject: HasSource) -> Encoded:
        if isinstance(subject.source, ItemReference):
            return self._items.encoded(subject.source.item_id, subject.modality)
        return self._engine.encode(subject.source, subject.modality)

    async def _each(
        self, call: Callable[[HasSource], Any], subjects: Sequence[HasSource]
    ) -> list[Any]:
        return [await call(subject) for subject in subjects]

    async def _run(self, function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        return function(*args, **kwargs)


class RetrievalService:
    """The service of this process, with the calls of ``Client``. For any thread.

    ``with service:`` closes it at the end. See ``AsyncRetrievalService`` for the arguments and
    for what each call raises.
    """

    def __init__(
        self, engine: Engine, items: Items, calibration: Calibration | None = None
    ) -> None:
        self._core = _BlockingService(engine, items, calibration)
        self._engine = engine
        self._items = items

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the engine and the index."""
        self._engine.close()
        self._items.close()

    def encode(
        self, source: Source, *, modality: Modality | None = None, floats: bool = False
    ) -> EncodeResponse:
        """Return the codes of media, a sentence or an item; with ``floats``, their vectors too."""
        return finish(self._core.encode(Subject(source, modality), floats=floats))

    def search(self, source: Source, **options: Unpack[SearchFields]) -> SearchResponse:
        """Return the streams most similar to media, a sentence or an item, best first."""
        modality = options.pop("modality", None)
        subject = Subject(source, Modality(modality) if modality else None)
        return finish(self._core.search(subject, _validated(SearchOptions, options)))

    def search_codes(
        self,
        pattern: Sequence[Sequence[int | None]],
        *,
        row: int | None = None,
        targets: Sequence[Modality | str] | None = None,
        k: int = 100,
    ) -> PatternResponse:
        """Return where codes follow one another; None in the pattern matches any code."""
        fields = {"pattern": pattern, "row": row, "targets": targets, "k": k}
        return finish(self._core.search_codes(_validated(PatternSearch, fields)))

    def compare(self, a: Source, b: Source, *, layers: Layers = "both") -> CompareResponse:
        """Return the cosine of each step of ``a`` with each step of ``b``."""
        return finish(self._core.compare(Subject(a), Subject(b), layers=layers))

    def add(
        self,
        item_id: str,
        source: bytes | Path | str,
        *,
        metadata: Mapping[str, JsonValue] | None = None,
        replace: bool = False,
    ) -> ItemResponse:
        """Encode media or a sentence, store it as an item, and return the item."""
        _check_id(item_id)
        call = self._core.add(item_id, Subject(source), metadata=metadata, replace=replace)
        return finish(call)

    def put(
        self,
        item_id: str,
        source: bytes | Path | str,
        *,
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> ItemResponse:
        """Store media or a sentence under an id, in place of what had that id."""
        return self.add(item_id, source, metadata=metadata, replace=True)

    def page(self, **options: Unpack[PageFields]) -> ItemPage:
        """Return a page of items, by id."""
        return finish(self._core.page(_validated(PageOptions, options)))

    def items(self, *, where: Filter | None = None) -> Iterator[ItemResponse]:
        """Yield every item that matches ``where``, by id."""
        return self._items.all(_validated(PageOptions, {"where": where}).where)

    def delete_where(self, where: Filter) -> DeletedItems:
        """Delete all items that match ``where``, with their stored media."""
        return finish(self._core.delete_where(_validated(Where, where)))

    get = blocking(AsyncRetrievalService.get)
    update = blocking(AsyncRetrievalService.update)
    delete = blocking(AsyncRetrievalService.delete)
    code = blocking(AsyncRetrievalService.code)
    duplicates = blocking(AsyncRetrievalService.duplicates)
    model = blocking(AsyncRetrievalService.model)

    def download(self, item_id: str, to: Path) -> None:
        """Copy the stored media of an item to a file."""
        shutil.copyfile(self._items.media_file(item_id), to)


def _validated(model: type[Request], fields: Mapping[str, object]) -> Request:
    """Return a request, held to the limits that the server holds it to."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest.of_fields(error.errors()) from None


def _check_id(item_id: str) -> None:
    try:
        ITEM_ID.validate_python(item_id)
    except ValidationError as error:
        raise InvalidRequest(f"id is {item_id!r}: {reason_of(error)}") from None
