"""What every store is: items kept durably, their streams found by likeness.

Shape letters: C code rows, T steps, N query vectors, D hidden dim, K layers that are compared.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from app.schemas.filters import Where
from model.modality import Modality

Score = Literal["mean", "max", "window"]
PAGE = 500  # items that ``Store.items`` reads at once
ANY_CODE = -1  # in a pattern: whatever code stands there
PLACES = {modality: place for place, modality in enumerate(Modality)}  # what orders equal scores


@dataclass(frozen=True)
class Stream:
    """One modality of an item."""

    codes: NDArray[np.int16]  # [C, T]
    duration_seconds: float | None  # None: a picture or a sentence


@dataclass(frozen=True)
class Item:
    """What is kept under an id. The codes are the truth; all that is searched derives of them."""

    id: str
    streams: Mapping[Modality, Stream]
    metadata: Mapping[str, JsonValue]
    text: str | None  # the sentence of a text item
    sha256: str  # hex digest of the media or sentence


@dataclass(frozen=True)
class Hit:
    """One stream of one item, found."""

    item: Item
    modality: Modality
    score: float  # cosine in [-1, 1], to six decimals
    # The step most like the query; of "window", the first of the window that is. None where the
    # stream has no time: a picture or a sentence.
    best_second: int | None
    curve: NDArray[np.float32] | None  # [T] cosine of each step with the query; where asked for
    query: int = 0  # which of the queries the stream is most like


@dataclass(frozen=True)
class Occurrence:
    """Where something stands in an item."""

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
    """A code of another row, and how often it stands at the same step."""

    row: int
    code: int
    count: int


@dataclass(frozen=True)
class CodeCard:
    """What the items say about the meaning of one code."""

    counts: Mapping[Modality, int]  # the steps that have it
    best: list[Occurrence]  # by modality, in each the streams most like the code first
    companions: list[Companion]  # the most frequent first


class Store(ABC):
    """Items and the search over their streams. All methods may be called from any thread.

    ``with store:`` closes it at the end.

    What ``add`` and ``delete`` have returned from survives a crash of the process and of the
    machine. A reader sees an item whole, as it was before or after a change, never half.
    """

    def add(self, item: Item, *, replace: bool) -> None:
        """Keep ``item``; where its id exists, replace all that was kept under it.

        Raises:
            ItemExists: The id exists and ``replace`` is false; nothing has changed.
            StoreUnavailable: It could not be written; nothing has changed.
        """
        self.add_many([item], replace=replace)

    @abstractmethod
    def add_many(self, items: Sequence[Item], *, replace: bool) -> None:
        """Keep all ``items`` or none, at once: the way to add many of them.

        Of items with the same id the last is kept, where ``replace`` is true.

        Raises:
            ItemExists: An id exists, or comes twice, and ``replace`` is false; nothing has
                changed.
            StoreUnavailable: They could not be written; nothing has changed.
        """

    @abstractmethod
    def get(self, item_id: str) -> Item | None:
        """Return the item of that id, or None."""

    @abstractmethod
    def page(self, *, after: str, limit: int) -> list[Item]:
        """Return at most ``limit`` items, by id, from the first whose id is above ``after``."""

    def items(self, *, after: str = "") -> Iterator[Item]:
        """Yield all items by id, starting behind ``after``, each as it is when its page is read."""
        while page := self.page(after=after, limit=PAGE):
            yield from page
            after = page[-1].id

    @abstractmethod
    def delete(self, item_id: str) -> bool:
        """Remove the item of that id; return whether there was one."""

    @abstractmethod
    def search(
        self,
        queries: NDArray[np.float32],
        *,
        layers: Sequence[int],
        targets: Sequence[Modality],
        k: int,
        score: Score = "mean",
        window: int = 3,
        where: Where | None = None,
        threshold: float | None = None,
        curves: bool = False,
    ) -> list[Hit]:
        """Return the ``k`` streams most like any of the queries, best first, equal ones by id.

        Args:
            queries: ``[N, K * D]`` pooled vectors (``Vocabulary.pooled`` with ``layers``). A
                stream's score is its cosine with the query that it is most like.
            layers: The layers that are compared.
            targets: The modalities whose streams are searched.
            k: Most hits.
            score: What of a stream is compared: the mean of its steps, the step that is most
                like the query, or the mean of the ``window`` steps in a row that are.
            window: Steps of a window, at least one; a shorter stream is one window.
            where: Which items are searched; all of them by default.
            threshold: The least score of a hit.
            curves: Whether each hit comes with its curve.
        """

    @abstractmethod
    def occurrences(
        self, pattern: NDArray[np.int16], *, targets: Sequence[Modality], k: int
    ) -> list[Occurrence]:
        """Return the first ``k`` places where codes follow one another, by id, modality, step.

        Codes are compared within a modality: what the same code means in another is not asked.

        Args:
            pattern: ``[C, n]`` the codes of ``n`` steps in a row; ``ANY_CODE`` fits all.
            targets: The modalities whose streams are looked through.
            k: Most places.

        Raises:
            InvalidRequest: The pattern has another number of rows, or names no code.
        """

    @abstractmethod
    def duplicates(self, item_id: str) -> list[Duplicate]:
        """Return the streams of other items with the codes of one of this item's streams, by id.

        Only streams of the same modality are compared. Empty where there is no such item.
        """

    @abstractmethod
    def card(self, row: int, code: int, *, k: int) -> CodeCard:
        """Return what one code stands for.

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
        """Release what the store holds; it cannot be used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
