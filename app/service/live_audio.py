"""Sound that arrives bit by bit, as codes by the second.

The network looks at pieces of ``max_steps`` seconds. A second's codes are first told when it has
passed, from what was heard of its piece so far; when its piece is complete they are told again,
and are then those that ``/encode`` gives for the whole.
Shape letters: S samples, C code rows, T seconds.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidMedia, TooLarge
from app.schemas import LivePiece, LiveSecond
from model.media import SAMPLE_RATE, num_steps

Sound = NDArray[np.float32]  # [S] in [-1, 1], 16 kHz
Codes = NDArray[np.int16]  # [C, T]


class SampleFormat(StrEnum):
    """How a sample is written: little-endian, mono."""

    S16LE = "s16le"
    F32LE = "f32le"

    @property
    def dtype(self) -> "np.dtype[np.int16] | np.dtype[np.float32]":
        """The type of one sample."""
        return np.dtype("<i2") if self is SampleFormat.S16LE else np.dtype("<f4")


class LiveSound:
    """Collects sound, and has it encoded a second at a time. For one sender.

    Args:
        encode: Returns the codes of at most ``piece_seconds`` of sound.
        sample_format: How samples are written.
        piece_seconds: Seconds that the network looks at together.
        max_seconds: Seconds after which it is enough.
    """

    def __init__(
        self,
        encode: Callable[[Sound], Awaitable[Codes]],
        *,
        sample_format: SampleFormat,
        piece_seconds: int,
        max_seconds: int,
    ) -> None:
        self._encode = encode
        self._format = sample_format
        self._piece_seconds = piece_seconds
        self._max_seconds = max_seconds
        self._rest = b""  # half a sample
        self._sound: Sound = np.empty(0, np.float32)  # of the piece that is not complete
        self._begin = 0  # second at which that piece begins
        self._told = 0  # seconds whose codes were told

    async def add(self, data: bytes) -> list[LiveSecond | LivePiece]:
        """Take samples; return the codes of the seconds and pieces that they complete.

        Raises:
            TooLarge: It has gone on for longer than ``max_seconds``.
            InvalidMedia: A sample is NaN or infinite.
        """
        self._sound = np.concatenate([self._sound, self._samples(data)])
        seconds = self._begin + len(self._sound) / SAMPLE_RATE
        if seconds > self._max_seconds:
            raise TooLarge(
                f"{seconds:.0f} seconds of sound, at most {self._max_seconds} are taken: begin "
                "anew, or raise SRCID_MAX_MEDIA_SECONDS"
            )
        answers: list[LiveSecond | LivePiece] = []
        whole = self._piece_seconds * SAMPLE_RATE
        while len(self._sound) >= whole:
            answers += self._tell(await self._encode(self._sound[:whole]), is_piece=True)
            self._sound = self._sound[whole:]
            self._begin += self._piece_seconds
        complete = len(self._sound) // SAMPLE_RATE
        if self._begin + complete > self._told:
            answers += self._tell(
                await self._encode(self._sound[: complete * SAMPLE_RATE]), is_piece=False
            )
        return answers

    async def end(self) -> list[LiveSecond | LivePiece]:
        """Return the codes of what is left: the last second may be a part of one."""
        seconds = len(self._sound) / SAMPLE_RATE
        is_padding = self._begin > 0 and num_steps(1 + seconds) == 1  # as in a whole file
        if not len(self._sound) or is_padding:
            return []
        return self._tell(await self._encode(self._sound), is_piece=True)

    def _samples(self, data: bytes) -> Sound:
        data = self._rest + data
        size = self._format.dtype.itemsize
        self._rest = data[len(data) - len(data) % size :]
        samples = np.frombuffer(data[: len(data) - len(self._rest)], self._format.dtype)
        if self._format is SampleFormat.S16LE:
            return np.asarray(samples.astype(np.float32) / 2**15, np.float32)
        if not np.isfinite(samples).all():
            raise InvalidMedia("a sample is NaN or infinite: send numbers in [-1, 1]")
        return samples.clip(-1, 1).astype(np.float32)

    def _tell(self, codes: Codes, *, is_piece: bool) -> list[LiveSecond | LivePiece]:
        """Return the seconds of ``codes`` that are new, and the piece where it is complete."""
        answers: list[LiveSecond | LivePiece] = [
            LiveSecond(second=second, codes=codes[:, second - self._begin].tolist())
            for second in range(self._told, self._begin + codes.shape[1])
        ]
        self._told = self._begin + codes.shape[1]
        if is_piece:
            answers.append(LivePiece(first_second=self._begin, codes=codes.tolist()))
        return answers
