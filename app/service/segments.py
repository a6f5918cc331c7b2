"""Long media as items of some seconds each: parts of a whole, found by the seconds of the whole.

The first part has the id of the whole, ``movie.mp4``; the one from second 120 on is
``movie.mp4@00120``. The metadata of each say so: ``part_of`` is the id of the whole and
``start_second`` where the part begins in it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pydantic import JsonValue

from app.engine.engine import Encoded
from app.store.base import Item, Stream
from model.modality import Modality

PART_OF, START_SECOND = "part_of", "start_second"
MARK = "@"  # between the id of the whole and the second


class Part(NamedTuple):
    """Some seconds of media."""

    start_second: int  # of the whole
    streams: Mapping[Modality, Stream]


def part_id(whole: str, start_second: int) -> str:
    """Return the id of a part."""
    return f"{whole}{MARK}{start_second:05}" if start_second else whole


def part_metadata(whole: str, start_second: int) -> dict[str, JsonValue]:
    """Return what the metadata of a part say about its place."""
    return {PART_OF: whole, START_SECOND: start_second}


def whole_id(item: Item) -> str:
    """Return the id of what the item is a part of; its own where it is none."""
    whole, start = item.metadata.get(PART_OF), item.metadata.get(START_SECOND)
    is_part = isinstance(whole, str) and isinstance(start, int)
    return str(whole) if is_part and item.id == part_id(str(whole), int(str(start))) else item.id


def start_second(item: Item) -> int:
    """Return the second of the whole at which the item begins; 0 where it is no part."""
    start = item.metadata.get(START_SECOND)
    return start if isinstance(start, int) and whole_id(item) != item.id else 0


def cut(stretches: Iterable[tuple[int, Encoded]], *, steps: int) -> Iterator[Part]:
    """Yield parts of ``steps`` seconds, the last of each stretch maybe shorter.

    Args:
        stretches: Each with the second at which it starts; their duration is that of the whole.
        steps: What the network looks at together: codes of a part depend on no other part.
    """
    for start, encoded in stretches:
        assert encoded.duration_seconds is not None
        length = max(codes.shape[1] for codes in encoded.codes.values())
        for first in range(0, length, steps):
            left = encoded.duration_seconds - start - first
            yield Part(
                start + first,
                {
                    m: Stream(codes[:, first : first + steps], min(float(steps), left))
                    for m, codes in encoded.codes.items()
                    if codes.shape[1] > first
                },
            )
