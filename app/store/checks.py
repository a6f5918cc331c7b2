"""What every store holds its callers to."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidRequest
from app.store.base import ANY_CODE, Item
from model.encoder import Vocabulary


def check_streams(vocabulary: Vocabulary, items: Sequence[Item]) -> None:
    """See that the codes of items are of the vocabulary.

    Raises:
        IndexError: They are not.
    """
    rows, size = vocabulary.tables.shape[:2]
    streams = [own.codes for item in items for own in item.streams.values()]
    if not streams:
        return
    together = np.concatenate([codes.ravel() for codes in streams])
    is_known = together.size and together.min() >= 0 and together.max() < size
    if not is_known or any(len(codes) != rows or not codes.size for codes in streams):
        raise IndexError(f"codes of {rows} rows below {size} are kept, not {streams}")


def check_pattern(vocabulary: Vocabulary, pattern: NDArray[np.integer]) -> None:
    """See that a pattern ``[C, n]`` can be looked for.

    Raises:
        InvalidRequest: It has another number of rows, or names no code.
    """
    rows = len(vocabulary.tables)
    if pattern.shape[0] != rows or (pattern == ANY_CODE).all():
        raise InvalidRequest(
            f"the pattern has {pattern.shape[0]} rows of {pattern.shape[1]} codes: give "
            f"{rows} rows, one a row of the codes, with at least one code that is not "
            f"{ANY_CODE} (any)"
        )


def check_code(vocabulary: Vocabulary, row: int, code: int) -> None:
    """See that there is such a code.

    Raises:
        InvalidRequest: The vocabulary has no such row or code.
    """
    rows, size = vocabulary.tables.shape[:2]
    if not (0 <= row < rows and 0 <= code < size):
        raise InvalidRequest(
            f"row {row} has no code {code}: there are {rows} rows, from 0, of {size} codes"
        )
