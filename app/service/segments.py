"""Long media as items of some seconds each: segments, found by the seconds of the whole.

The first segment has the id of the whole, ``movie.mp4``; the one from second 120 on is
``movie.mp4@00120``. The metadata of each tell its place: ``part_of`` is the id of the whole and
``start_second`` the second at which the segment begins.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pydantic import JsonValue

from app.engine.engine import Encoded
from app.schemas.fields import MAX_ID_CHARACTERS, shortened
from app.store.base import Item, Stream
from model.modality import Modality

PART_OF, START_SECOND = "part_of", "start_second"
SEPARATOR = "@"  # between the id of the whole and the second


class Segment(NamedTuple):
    """Some seconds of media."""

    start_second: int  # of the whole
    streams: Mapping[Modality, Stream]


def segment_id(whole: str, start_second: int) -> str:
    """Return the id of a segment."""
    return f"{segment_prefix(whole)}{start_second:05}" if start_second else whole


def segment_prefix(whole: str) -> str:
    """Return what the ids of all segments but the first begin with."""
    return shortened(whole, limit=MAX_ID_CHARACTERS - len(f"{SEPARATOR}{0:05}")) + SEPARATOR


def segment_metadata(whole: str, start_second: int) -> dict[str, JsonValue]:
    """Return the metadata that tell a segment's place."""
    return {PART_OF: whole, START_SECOND: start_second}


def whole_id(item: Item) -> str:
    """Return the id of the whole that an item is a segment of; its own id if it is none."""
    whole, start = item.metadata.get(PART_OF), item.metadata.get(START_SECOND)
    if not isinstance(whole, str) or not isinstance(start, int):
        return item.id
    return whole if item.id == segment_id(whole, start) else item.id


def start_second(item: Item) -> int:
    """Return the second of the whole at which an item begins; 0 if it is no segment."""
    start = item.metadata.get(START_SECOND)
    return start if isinstance(start, int) and whole_id(item) != item.id else 0


def cut(stretches: Iterable[tuple[int, Encoded]], *, steps: int) -> Iterator[Segment]:
    """Yield segments of ``steps`` seconds; the last one of each stretch may be shorter.

    Args:
        stretches: Each with the second at which it starts; their duration is that of the whole.
        steps: Seconds that the network encodes together: the codes of a segment depend on no
            other segment.
    """
    for start, encoded in stretches:
        assert encoded.duration_seconds is not None
        length = max(codes.shape[1] for codes in encoded.codes.values())
        for first in range(0, length, steps):
            remaining = encoded.duration_seconds - start - first
            yield Segment(
                start + first,
                {
                    m: Stream(codes[:, first : first + steps], min(float(steps), remaining))
                    for m, codes in encoded.codes.items()
                    if codes.shape[1] > first
                },
            )
