"""What every store is: items kept durably, their streams found by likeness.

Shape letters: C code rows, T steps, N query vectors, D hidden dim, K layers that are compared.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from model.modality import Modality


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
    best_second: int | None  # the step most like the query; None where the stream has no time


class Store(ABC):
    """Items and the search over their streams. All methods may be called from any thread.

    ``with store:`` closes it at the end.

    What ``add`` and ``delete`` have returned from survives a crash of the process and of the
    machine. A reader sees an item whole, as it was before or after a change, never half.
    """

    @abstractmethod
    def add(self, item: Item, *, replace: bool) -> None:
        """Keep ``item``; where its id exists, replace all that was kept under it.

        Raises:
            ItemExists: The id exists and ``replace`` is false; nothing has changed.
            StoreUnavailable: It could not be written; nothing has changed.
        """

    @abstractmethod
    def get(self, item_id: str) -> Item | None:
        """Return the item of that id, or None."""

    @abstractmethod
    def page(self, *, after: str, limit: int) -> list[Item]:
        """Return at most ``limit`` items, by id, from the first whose id is above ``after``."""

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
    ) -> list[Hit]:
        """Return the ``k`` streams most like any of the queries, best first, equal ones by id.

        Args:
            queries: ``[N, K * D]`` pooled vectors (``Vocabulary.pooled`` with ``layers``). A
                stream's score is its cosine with the query that it is most like.
            layers: The layers that are compared.
            targets: The modalities whose streams are searched.
            k: Most hits.
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
