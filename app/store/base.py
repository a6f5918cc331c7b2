"""The interface of every store: durable items, and search over their streams.

Shape letters: C code rows, T steps, N query vectors, D hidden dim, K compared layers.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from app.errors import InvalidRequest
from app.schemas.filters import Where
from app.schemas.search import SearchOptions
from model.modality import Modality

if TYPE_CHECKING:  # which loads torch: exporting and importing items needs none
    from model.encoder import Vocabulary

PAGE = 500  # items that ``Store.items`` reads at once
ANY_CODE = -1  # in a pattern: matches every code
PLACES = {modality: place for place, modality in enumerate(Modality)}  # the order of equal scores


@dataclass(frozen=True)
class Stream:
    """One modality of an item."""

    codes: NDArray[np.int16]  # [C, T]
    duration_seconds: float | None  # None: a picture or a sentence


@dataclass(frozen=True)
class Item:
    """What is stored under an id. Every index is derived from its codes."""

    id: str
    streams: Mapping[Modality, Stream]
    metadata: Mapping[str, JsonValue]
    text: str | None  # the sentence of a text item
    sha256: str  # hex digest of the media or sentence


@dataclass(frozen=True)
class Hit:
    """One stream of one item, as a search returns it."""

    item: Item
    modality: Modality
    score: float  # cosine in [-1, 1], to six decimals
    # The step most similar to the query; with ``score="window"``, the first step of the most
    # similar window. None for streams without time: pictures and sentences.
    best_second: int | None
    curve: NDArray[np.float32] | None  # [T] cosine of each step with the query, on request
    query: int = 0  # the most similar of the queries


@dataclass(frozen=True)
class Occurrence:
    """One place in an item."""

    item: Item
    modality: Modality
    second: int  # the step: a second of media, a word of a sentence


@dataclass(frozen=True)
class Duplicate:
    """A stream with the same codes as another item's."""

    item_id: str
    modality: Modality


@dataclass(frozen=True)
class Companion:
    """A code of another row, and how often it shares a step with the code in question."""

    row: int
    code: int
    count: int


@dataclass(frozen=True)
class CodeCard:
    """How one code is used in the stored items."""

    counts: Mapping[Modality, int]  # the number of steps with the code
    best: list[Occurrence]  # by modality; within each, the streams most similar to the code first
    companions: list[Companion]  # the most frequent first


class Store(ABC):
    """Items and the search over their streams. All methods may be called from any thread.

    ``with store:`` closes it at the end.

    Changes survive a crash of the process or machine once ``add`` or ``delete`` has returned.
    Readers see an item as it was before or after a change, never half of it.
    """

    def add(self, item: Item, *, replace: bool) -> None:
        """Store ``item``; if its id exists, replace everything under that id.

        Raises:
            ItemExists: The id exists and ``replace`` is false; nothing has changed.
            StoreUnavailable: The write failed; nothing has changed.
        """
        self.add_many([item], replace=replace)

    @abstractmethod
    def add_many(self, items: Sequence[Item], *, replace: bool, delete: Sequence[str] = ()) -> None:
        """Store all ``items`` or none, in one write: the fast way to add many.

        Args:
            items: The items.
            replace: Whether an id may exist. Of several items with the same id, the last is
                stored.
            delete: The ids of items that are deleted in the same write.

        Raises:
            ItemExists: An id exists, or comes twice, and ``replace`` is false; nothing has
                changed.
            StoreUnavailable: The write failed; nothing has changed.
        """

    @abstractmethod
    def get(self, item_id: str) -> Item | None:
        """Return the item with that id, or None."""

    @abstractmethod
    def page(
        self,
        *,
        after: str = "",
        before: str | None = None,
        limit: int,
        where: Where | None = None,
        from_end: bool = False,
    ) -> list[Item]:
        """Return at most ``limit`` items, ordered by id.

        Args:
            after: All ids are greater.
            before: All ids are less; None: there is no such bound.
            limit: Most items.
            where: What their metadata must match.
            from_end: Whether to return the last of these items, and not the first.
        """

    def items(
        self, *, after: str = "", before: str | None = None, where: Where | None = None
    ) -> Iterator[Item]:
        """Yield the items of all pages, by id, each as of when its page is read."""
        while page := self.page(after=after, before=before, limit=PAGE, where=where):
            yield from page
            after = page[-1].id

    @abstractmethod
    def delete(self, item_id: str) -> bool:
        """Delete the item with that id; return whether it existed."""

    @abstractmethod
    def search(
        self, queries: NDArray[np.float32], options: SearchOptions, *, layers: Sequence[int]
    ) -> list[Hit]:
        """Return the ``k`` streams most similar to any query, best first, equal scores by id.

        Args:
            queries: ``[N, K * D]`` pooled vectors (``Vocabulary.pooled`` with ``layers``). A
                stream's score is its cosine with the most similar query.
            options: ``targets`` (None: every modality), ``k``, ``width``, ``least_score``,
                ``where`` and ``curves`` apply here; the others have been used to make the queries.
            layers: The compared layers.
        """

    @abstractmethod
    def occurrences(
        self, pattern: NDArray[np.int16], *, targets: Sequence[Modality], k: int
    ) -> list[Occurrence]:
        """Return the first ``k`` places with a sequence of codes, by id, modality and step.

        Args:
            pattern: ``[C, n]`` the codes of ``n`` consecutive steps; ``ANY_CODE`` matches all.
            targets: The modalities to search.
            k: Most places.

        Raises:
            InvalidRequest: The pattern has another number of rows, or names no code.
        """

    @abstractmethod
    def duplicates(self, item_id: str) -> list[Duplicate]:
        """Return other items' streams with the same codes and modality as this item's, by id.

        Empty if there is no such item.
        """

    @abstractmethod
    def card(self, row: int, code: int, *, k: int) -> CodeCard:
        """Return how one code is used.

        Args:
            row: The row of the codes, from 0.
            code: The code.
            k: Most places in each modality, and most companions.

        Raises:
            InvalidRequest: The vocabulary has no such row or code.
        """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of items."""

    @abstractmethod
    def close(self) -> None:
        """Release all resources; the store cannot be used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def check_streams(vocabulary: "Vocabulary", items: Sequence[Item]) -> None:
    """Check that the codes of items belong to the vocabulary.

    Raises:
        IndexError: They do not.
    """
    rows, size = vocabulary.tables.shape[:2]
    streams = [stream.codes for item in items for stream in item.streams.values()]
    if not streams:
        return
    codes = np.concatenate([stream.ravel() for stream in streams])  # much faster than one by one
    is_valid = codes.size and codes.min() >= 0 and codes.max() < size
    if not is_valid or any(len(stream) != rows or not stream.size for stream in streams):
        raise IndexError(f"streams must have {rows} rows of codes below {size}: {streams}")


def check_pattern(vocabulary: "Vocabulary", pattern: NDArray[np.integer]) -> None:
    """Check that a pattern ``[C, n]`` can be searched.

    Raises:
        InvalidRequest: It has another number of rows, or names no code.
    """
    rows = len(vocabulary.tables)
    if pattern.shape[0] != rows or (pattern == ANY_CODE).all():
        raise InvalidRequest(
            f"the pattern has {pattern.shape[0]} rows of {pattern.shape[1]} codes: give "
            f"{rows} rows, one per row of the codes, with at least one code that is not "
            f"{ANY_CODE} (any)"
        )


def check_code(vocabulary: "Vocabulary", row: int, code: int) -> None:
    """Check that the vocabulary has a code.

    Raises:
        InvalidRequest: It has no such row or code.
    """
    rows, size = vocabulary.tables.shape[:2]
    if not (0 <= row < rows and 0 <= code < size):
        raise InvalidRequest(
            f"row {row} has no code {code}: there are {rows} rows, from 0, of {size} codes"
        )
