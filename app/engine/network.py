"""What the device thread does: the network, on what is decoded and prepared."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from app.errors import InvalidMedia, TooLarge
from model.encoder import Codes, Encoder, Pooled
from model.errors import MediaError, MediaTooLarge
from model.media import SAMPLE_RATE, Clip
from model.modality import Modality

TURN_SECONDS = 0.1  # that a thread waits for another one's quantizing, at most
SHORT_SIDE = 256  # pixels of the frame that the probe looks at


class Encoded(NamedTuple):
    """The streams of one clip or sentence."""

    codes: Mapping[Modality, Codes]
    # What each stream is compared by as a query; of a kept item, what its codes stand for.
    queries: Mapping[Modality, Pooled]
    duration_seconds: float | None  # of the media; None for a picture or a sentence
    # How far each stream lay from its codes (Encoder.quantize); None where that is not kept.
    errors: Mapping[Modality, float] | None = None


class Work(NamedTuple):
    """One item for the network."""

    inputs: str | Mapping[Modality, Tensor]  # a sentence; or a tensor for each stream
    are_features: bool = False  # the tensors have been through the backbones
    duration_seconds: float | None = None  # of the media

    @property
    def num_steps(self) -> int:
        """About how many steps the network has to look at."""
        if isinstance(self.inputs, str):
            return 1 + len(self.inputs.split())
        return sum(len(own) for own in self.inputs.values())


class Network:
    """Encodes work. ``run`` may be called by several threads at once."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._turn = threading.Lock()

    def run(self, batch: Sequence[Work]) -> list[Encoded]:
        """Return the codes of each item.

        Raises:
            InvalidMedia: An item has nothing to encode.
        """
        # Each thread that calls OpenMP has a number of threads of its own. With more than one,
        # float32 sums change in the last bits with the load, and so may codes.
        torch.set_num_threads(1)
        with as_service_errors():
            items = [self._items(work) for work in batch]
        features = self._features(batch, items)
        with self._alone():
            quantized = iter(self.encoder.quantize(features))
        found = [{m: next(quantized) for m, _ in own} for own in items]
        return [
            Encoded(
                {m: one.codes for m, one in own.items()},
                {m: one.query for m, one in own.items()},
                work.duration_seconds,
                {m: one.error for m, one in own.items()},
            )
            for work, own in zip(batch, found, strict=True)
        ]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Take a turn at what is many operations of microseconds.

        Threads that do such at once wait for Python's lock after each operation, which costs them
        more than the operations. Nothing is guarded: behind one that hangs, others go on.
        """
        has_turn = self._turn.acquire(timeout=TURN_SECONDS)
        try:
            yield
        finally:
            if has_turn:
                self._turn.release()

    def probes(self) -> list[Work]:
        """Return an item of each modality, to see that all works and to warm it up."""
        frames = np.zeros((1, self.encoder.frames_per_step, SHORT_SIDE, SHORT_SIDE, 3), np.uint8)
        clip = Clip(frames, np.zeros(SAMPLE_RATE, np.float32), 1.0)
        probes = []
        if Modality.TEXT in self.encoder.modalities:
            probes.append(Work("a word"))
        if set(self.encoder.modalities) - {Modality.TEXT}:
            probes.append(Work(self.encoder.prepare(clip)))
        return probes

    def _items(self, work: Work) -> list[tuple[Modality, Tensor]]:
        inputs = work.inputs
        if isinstance(inputs, str):
            inputs = self.encoder.prepare(inputs)
        return list(inputs.items())

    def _features(
        self, batch: Sequence[Work], items: Sequence[Sequence[tuple[Modality, Tensor]]]
    ) -> list[tuple[Modality, Tensor]]:
        """Return the features of all items, end to end; pictures as long as they are held."""
        raw = [
            one
            for work, own in zip(batch, items, strict=True)
            for one in own
            if not work.are_features
        ]
        extracted = iter(self.encoder.features(raw))
        found = []
        for work, own in zip(batch, items, strict=True):
            for m, tensor in own:
                features = tensor if work.are_features else next(extracted)
                is_lasting = work.duration_seconds is not None
                found.append((m, features if is_lasting else self.encoder.held(m, features)))
        return found


@contextmanager
def as_service_errors() -> Iterator[None]:
    """Turn what the package raises about media into what the service answers.

    Raises:
        InvalidMedia: Not decodable, empty, or without what is wanted of it.
        TooLarge: Longer or heavier than the settings allow.
    """
    try:
        yield
    except MediaTooLarge as error:
        raise TooLarge(str(error)) from error
    except MediaError as error:
        raise InvalidMedia(str(error)) from error
