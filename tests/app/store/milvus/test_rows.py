"""Items as rows."""

import numpy as np
import pytest

from app.errors import TooLarge
from app.store.base import Item, Stream
from app.store.milvus.index_terms import IndexTerms
from app.store.milvus.rows import key_of, row_of
from app.store.milvus.vectors import SparseSpace
from model.encoder import Vocabulary
from model.modality import Modality

VOCABULARY = Vocabulary(np.ones((2, 400, 4), np.float32), np.array([1, 2]))
SPACE = SparseSpace(VOCABULARY)


def test_keys_have_the_order_of_ids() -> None:
    ids = ["", "B", "a", "a b", "ab", "b", "é", "\uffff", "\U0001f600"]
    assert sorted(ids, key=key_of) == sorted(ids)


def test_more_different_codes_than_milvus_keeps_are_too_many() -> None:
    codes = np.random.default_rng(0).integers(0, 400, (2, 4000)).astype(np.int16)
    item = Item("a", {Modality.VIDEO: Stream(codes, 4000.0)}, {}, None, "")
    with pytest.raises(
        TooLarge, match=r"'a' takes \d+ bytes and has \d+ different codes and steps"
    ):
        row_of(item, space=SPACE, terms=IndexTerms(VOCABULARY, SPACE))
