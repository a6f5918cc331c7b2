"""Streamed audio, encoded second by second.

The network encodes pieces of ``max_steps`` seconds. A second's codes are first sent when it has
passed, computed from its piece so far; when the piece is complete they are sent again, and are
then those that ``/encode`` gives for the whole.
Shape letters: S samples, C code rows, T seconds.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidMedia, TooLarge
from app.schemas.live import LivePiece, LiveSecond
from model.encoder import Codes
from model.media import num_steps

Waveform = NDArray[np.float32]  # [S] in [-1, 1]


class SampleFormat(StrEnum):
    """How a sample is written: little-endian, mono."""

    S16LE = "s16le"
    F32LE = "f32le"

    @property
    def dtype(self) -> "np.dtype[np.int16] | np.dtype[np.float32]":
        """The type of one sample."""
        return np.dtype("<i2") if self is SampleFormat.S16LE else np.dtype("<f4")


class LiveAudio:
    """Collects the audio of one sender, and has it encoded a second at a time.

    Args:
        encode: Returns the codes of at most ``piece_seconds`` of audio.
        sample_format: How samples are written.
        sample_rate: Samples a second.
        piece_seconds: Seconds that the network encodes together.
        max_seconds: The most seconds that are accepted.
    """

    def __init__(
        self,
        encode: Callable[[Waveform], Awaitable[Codes]],
        *,
        sample_format: SampleFormat,
        sample_rate: int,
        piece_seconds: int,
        max_seconds: int,
    ) -> None:
        self._encode = encode
        self._format = sample_format
        self._rate = sample_rate
        self._piece_seconds = piece_seconds
        self._max_seconds = max_seconds
        self._remainder = b""  # the bytes of an incomplete sample
        self._piece: Waveform = np.empty(0, np.float32)  # the incomplete piece
        self._start = 0  # the second at which that piece starts
        self._num_sent = 0  # seconds whose codes were sent

    async def add(self, data: bytes) -> list[LiveSecond | LivePiece]:
        """Add samples; return the codes of the seconds and pieces that they complete.

        Raises:
            TooLarge: There are more than ``max_seconds`` of audio.
            InvalidMedia: A sample is NaN or infinite.
        """
        self._piece = np.concatenate([self._piece, self._samples(data)])
        seconds = self._start + len(self._piece) / self._rate
        if seconds > self._max_seconds:
            raise TooLarge(
                f"{seconds:.0f} seconds of sound, the limit is {self._max_seconds}: connect again, "
                "or raise SRCID_MAX_MEDIA_SECONDS"
            )
        messages: list[LiveSecond | LivePiece] = []
        whole = self._piece_seconds * self._rate
        while len(self._piece) >= whole:
            messages += self._messages(await self._encode(self._piece[:whole]), is_piece=True)
            self._piece = self._piece[whole:]
            self._start += self._piece_seconds
        complete = len(self._piece) // self._rate
        if self._start + complete > self._num_sent:
            messages += self._messages(
                await self._encode(self._piece[: complete * self._rate]), is_piece=False
            )
        return messages

    async def end(self) -> list[LiveSecond | LivePiece]:
        """Return the codes of what is left; the last second may be incomplete."""
        seconds = len(self._piece) / self._rate
        is_padding = self._start > 0 and num_steps(1 + seconds) == 1  # as in a whole file
        if not len(self._piece) or is_padding:
            return []
        return self._messages(await self._encode(self._piece), is_piece=True)

    def _samples(self, data: bytes) -> Waveform:
        data = self._remainder + data
        size = self._format.dtype.itemsize
        self._remainder = data[len(data) - len(data) % size :]
        samples = np.frombuffer(data[: len(data) - len(self._remainder)], self._format.dtype)
        if self._format is SampleFormat.S16LE:
            return np.asarray(samples.astype(np.float32) / 2**15, np.float32)
        if not np.isfinite(samples).all():
            raise InvalidMedia("a sample is NaN or infinite: send numbers in [-1, 1]")
        return samples.clip(-1, 1).astype(np.float32)

    def _messages(self, codes: Codes, *, is_piece: bool) -> list[LiveSecond | LivePiece]:
        """Return the new seconds of ``codes``, and the piece if it is complete."""
        messages: list[LiveSecond | LivePiece] = [
            LiveSecond(second=second, codes=codes[:, second - self._start].tolist())
            for second in range(self._num_sent, self._start + codes.shape[1])
        ]
        self._num_sent = self._start + codes.shape[1]
        if is_piece:
            messages.append(LivePiece(first_second=self._start, codes=codes.tolist()))
        return messages
