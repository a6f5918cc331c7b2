"""What a decode worker and its parent tell each other: JSON, never pickles.

Whoever takes a worker over by a hostile file gains no other process by what it answers.
"""

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from model.config import FrozenModel
from model.media import DecodeConfig


class DecodeLimits(FrozenModel):
    """What a worker may use at most, held by the kernel; the seconds also by the clock."""

    memory_bytes: PositiveInt = 2 * 2**30  # beside what the process has before it decodes
    seconds: PositiveFloat = 30.0  # for one file, of processor time and by the clock


class Task(FrozenModel):
    """One file to decode: at a path, or so many bytes from the start of the arena."""

    config: DecodeConfig
    path_hex: str | None = None  # any path, also one that is no Unicode
    size: NonNegativeInt = 0


class Answer(FrozenModel):
    """Where the clip lies: its frames from the start of the arena, then, aligned, its sound."""

    frames: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, Literal[3]] | None = None
    num_samples: NonNegativeInt | None = None
    duration_seconds: float | None = None
    error: Literal["MediaError", "MediaTooLarge", "memory", "unexpected"] | None = None
    message: str = ""


def sound_offset(num_frame_bytes: int) -> int:
    """Return where the sound starts behind frames of so many bytes."""
    return -(-num_frame_bytes // 64) * 64
