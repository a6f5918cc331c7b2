"""The index in a folder of this machine, with the calls of the server's client."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, Unpack

from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from app.client.calls import Media
from app.errors import InvalidRequest
from app.schemas import (
    MAX_PAGE,
    CodeResponse,
    CompareResponse,
    DuplicatesResponse,
    ItemId,
    ItemResponse,
    Layers,
    ModelInfo,
    PatternResponse,
    PatternSearch,
    SearchOptions,
    SearchResponse,
)
from app.schemas.search import SearchFields
from app.schemas.sources import ItemReference, LikePart, Source
from app.schemas.sources import QueryPart as WirePart
from app.service.query_arithmetic import Query, QueryPart
from app.service.service import Encoded, RetrievalService
from model.modality import Modality

ID = TypeAdapter(ItemId)
Asked = TypeVar("Asked", bound=BaseModel)


class LocalIndex:
    """Calls the service of this process; see ``SRCIDClient`` for what each call does.

    It has those calls that commands make of both.
    """

    def __init__(self, service: RetrievalService) -> None:
        self._service = service

    def search(self, source: Source, **options: Unpack[SearchFields]) -> SearchResponse:
        """Return the streams most like media, a sentence or an item."""
        modality = options.pop("modality", None)
        given = _valid(SearchOptions, options)
        self._service.searcher.check(given)
        own = self._encoded(source, Modality(modality) if modality else None)
        query = Query(
            own.queries,
            errors=own.errors,
            plus=self._parts(given.plus),
            minus=self._parts(given.minus),
            exclude=self._parts(given.exclude),
        )
        return self._service.searcher.find(query, given)

    def search_codes(
        self,
        pattern: Sequence[Sequence[int | None]],
        *,
        row: int | None,
        targets: Sequence[str] | None,
        k: int,
    ) -> PatternResponse:
        """Return where codes follow one another."""
        asked = _valid(PatternSearch, {"pattern": pattern, "row": row, "targets": targets, "k": k})
        self._service.searcher.targets(asked.targets)
        return self._service.codes.occurrences(
            asked.pattern, row=asked.row, targets=asked.targets, k=asked.k
        )

    def compare(self, a: Source, b: Source, *, layers: Layers) -> CompareResponse:
        """Return the likeness of two things, second by second."""
        chosen = self._service.searcher.layers(layers)
        left, right = self._encoded(a), self._encoded(b)
        return self._service.codes.compare(left.codes, right.codes, layers=chosen)

    def code(self, layer: int, code: int, *, row: int | None) -> CodeResponse:
        """Return what the items of the index say about the meaning of a code."""
        return self._service.codes.card(layer, code, row=row)

    def add(
        self, item_id: str, source: Media | str, *, metadata: Mapping[str, JsonValue]
    ) -> ItemResponse:
        """Keep media or a sentence under a new id."""
        return self._keep(item_id, source, metadata, replace=False)

    def put(
        self, item_id: str, source: Media | str, *, metadata: Mapping[str, JsonValue]
    ) -> ItemResponse:
        """Keep media or a sentence under an id, in place of what had it."""
        return self._keep(item_id, source, metadata, replace=True)

    def get(self, item_id: str) -> ItemResponse:
        """Return an item."""
        return self._service.get(item_id)

    def delete(self, item_id: str) -> None:
        """Remove an item."""
        self._service.delete(item_id)

    def items(self) -> Iterator[ItemResponse]:
        """Yield every item by id."""
        cursor: str | None = ""
        while cursor is not None:
            page = self._service.page(after=cursor, limit=MAX_PAGE)
            yield from page.items
            cursor = page.next_cursor

    def download(self, item_id: str, to: Path) -> None:
        """Copy the media that were kept of an item."""
        shutil.copyfile(self._service.items.file(item_id), to)

    def duplicates(self, item_id: str) -> DuplicatesResponse:
        """Return the streams of other items that have the same codes."""
        return self._service.codes.duplicates(item_id)

    def model(self) -> ModelInfo:
        """Return what is served, and within which limits."""
        return self._service.describe()

    def _keep(
        self,
        item_id: str,
        source: Media | str,
        metadata: Mapping[str, JsonValue],
        *,
        replace: bool,
    ) -> ItemResponse:
        try:
            ID.validate_python(item_id)
        except ValidationError as error:
            raise InvalidRequest(f"id is {item_id!r}: {error.errors()[0]['msg']}") from None
        return self._service.add(item_id, source, metadata=metadata, replace=replace)

    def _encoded(self, source: Source, modality: Modality | None = None) -> Encoded:
        if isinstance(source, ItemReference):
            return self._service.items.codes(source.item_id, modality)
        return self._service.engine.encode(source, modality)

    def _parts(self, parts: Sequence[WirePart]) -> list[QueryPart]:
        return [
            QueryPart(
                self._encoded(
                    ItemReference(part.item) if isinstance(part, LikePart) else part.source,
                    part.modality,
                ).queries,
                part.weight,
            )
            for part in parts
        ]


def _valid(model: type[Asked], fields: Mapping[str, object]) -> Asked:
    """Return what is asked, held to the limits that the server holds it to."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        reasons = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise InvalidRequest("; ".join(reasons)) from None
