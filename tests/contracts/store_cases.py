"""The stores that are held to the contract, items to put in them, and the formula of a search."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.schemas.search import SearchOptions
from app.settings import IndexKind
from app.store.base import Hit, Item, Store, Stream
from app.store.local import LISTED_FROM, LocalStore
from model.encoder import Vocabulary
from model.modality import Modality
from tests.milvus_lite import open_milvus

AUDIO, VIDEO, TEXT = Modality.AUDIO, Modality.VIDEO, Modality.TEXT
SIZE, DIM = 12, 4
BOTH = (1, 2)

KINDS: list[IndexKind] = ["auto", "codes"]


class ListedStore(LocalStore):
    """A store whose streams are in inverted lists, however few; all lists are read."""

    def __init__(self, folder: Path, vocabulary: Vocabulary, fingerprint: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(LISTED_FROM, "ivf", 1)
            super().__init__(folder, vocabulary, fingerprint=fingerprint, index="ivf", probes=10**6)

    def search(
        self, queries: NDArray[np.float32], options: SearchOptions, *, layers: Sequence[int]
    ) -> list[Hit]:
        self._indexes.sync()
        self._indexes.arrange()
        return super().search(queries, options, layers=layers)


# Opens the store of a folder; the tests close it.
OPENERS: dict[str, Callable[[Path, Vocabulary, str], Store]] = {
    kind: lambda folder, vocabulary, own, kind=kind: LocalStore(
        folder, vocabulary, fingerprint=own, index=kind
    )
    for kind in KINDS
}
OPENERS["ivf"] = ListedStore
OPENERS["milvus"] = open_milvus


def make_vocabulary(seed: int = 0) -> Vocabulary:
    tables = np.random.default_rng(seed).normal(size=(2, SIZE, DIM)).astype(np.float32)
    return Vocabulary(tables, np.array([1, 2]))


def random_codes(seed: int, steps: int = 5) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(0, SIZE, (2, steps)).astype(np.int16)


def make_item(item_id: str, seed: int = 0, *modalities: Modality, **other: object) -> Item:
    streams = {
        m: Stream(random_codes(1000 * seed + n), None if m is TEXT else 5.0)
        for n, m in enumerate(modalities or (AUDIO,))
    }
    fields: dict[str, object] = {"metadata": {}, "text": None, "sha256": "0" * 64} | other
    return Item(item_id, streams, **fields)


def brute_force(
    items: list[Item],
    queries: NDArray[np.float32],
    vocabulary: Vocabulary,
    layers: tuple[int, ...],
    targets: list[Modality],
    width: int | None = None,
) -> dict[tuple[str, Modality], float]:
    """Cosine of each stream, or of its best ``width`` steps in a row, with the query it is most
    like, written straight from the formula."""
    scores = {}
    for item in items:
        for modality in targets:
            if modality in item.streams:
                codes = item.streams[modality].codes
                length = min(width or codes.shape[1], codes.shape[1])
                parts = [codes[:, t : t + length] for t in range(codes.shape[1] - length + 1)]
                vectors = [vocabulary.pooled(part, layers).astype(float) for part in parts]
                scores[item.id, modality] = max(
                    float(vector @ q / np.linalg.norm(vector) / np.linalg.norm(q))
                    for q in queries.astype(float)
                    for vector in vectors
                )
    return scores
