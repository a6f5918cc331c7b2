"""The two stages of encoding: preprocessing decodes media, then the network computes codes.

The engine runs each stage in threads of its own, Ray in actors.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from app.engine.decode_pool import DecodePool
from app.engine.decode_process import DecodeLimits
from app.errors import InvalidMedia, TooLarge
from app.settings import Settings
from app.telemetry.engine_observer import EngineObserver
from model.encoder import Codes, Encoder, Pooled
from model.errors import MediaError, MediaTooLarge
from model.feature_file import is_feature_file, read_features
from model.media import Clip
from model.modality import Modality

MAX_TURN_SECONDS = 0.1  # that a thread waits for another one's quantizing
SETTINGS = {  # that set the limits which the model package's errors name
    "max_seconds": "SRCID_MAX_MEDIA_SECONDS",
    "max_bytes": "SRCID_MAX_MEDIA_BYTES",
    "max_steps": "SRCID_MAX_STEPS",
}


class Passage(NamedTuple):
    """Some seconds of a media file."""

    path: Path
    start_second: int
    num_seconds: int


class MediaRequest(NamedTuple):
    """Media to encode."""

    source: bytes | Path | Passage | Clip
    modality: Modality | None = None  # encode only this stream; all streams by default


class NetworkInput(NamedTuple):
    """One item for the network."""

    inputs: str | Mapping[Modality, Tensor]  # a sentence; or a tensor for each stream
    are_features: bool = False  # the tensors are backbone features
    duration_seconds: float | None = None  # of the media

    @property
    def num_steps(self) -> int:
        """Approximate number of steps that the network processes."""
        if isinstance(self.inputs, str):
            return 1 + len(self.inputs.split())
        return sum(map(len, self.inputs.values()))


class Encoded(NamedTuple):
    """The codes of a clip or sentence, for each of its streams."""

    codes: Mapping[Modality, Codes]
    # The vectors that a search compares. For a stored item: those of its codes.
    queries: Mapping[Modality, Pooled]
    duration_seconds: float | None  # of the media; None for a picture or a sentence
    # Quantization error of each stream (Encoder.quantize); None for a stored item.
    errors: Mapping[Modality, float] | None = None


class Preprocessor:
    """Decodes media and prepares it for the network. ``run`` is thread-safe.

    Args:
        pool: Decodes.
        encoder: Its backbones define the network's inputs.
        max_steps: Maximum steps of a feature file.
    """

    def __init__(self, pool: DecodePool, encoder: Encoder, *, max_steps: int) -> None:
        self.pool = pool
        self.encoder = encoder
        self.max_steps = max_steps

    def run(self, batch: Sequence[MediaRequest]) -> list[NetworkInput]:
        """Return the network's input for each request.

        Raises:
            InvalidMedia: Not decodable, empty, or without the requested stream.
            TooLarge: Longer or heavier than the settings allow.
        """
        with as_service_errors():
            return [self._preprocess(request) for request in batch]

    def _preprocess(self, request: MediaRequest) -> NetworkInput:
        source, modality = request
        if isinstance(source, bytes) and is_feature_file(source):
            return self._read_features(source, modality)
        if isinstance(source, Clip):
            return self._prepare(source, modality)
        config = None
        if isinstance(source, Passage):
            limits = {"start_second": source.start_second, "max_steps": source.num_seconds}
            source, config = source.path, self.pool.config.model_copy(update=limits)
        with self.pool.decoded(source, config) as clip:  # preparing copies it
            return self._prepare(clip, modality)

    def _read_features(self, source: bytes, modality: Modality | None) -> NetworkInput:
        features = read_features(
            source, self.encoder.config, modality=modality, max_steps=self.max_steps
        )
        is_text = features.keys() == {Modality.TEXT}
        return NetworkInput(
            {m: torch.from_numpy(array) for m, array in features.items()},
            are_features=True,
            duration_seconds=None if is_text else float(max(map(len, features.values()))),
        )

    def _prepare(self, clip: Clip, modality: Modality | None) -> NetworkInput:
        if modality:
            clip = _only(clip, modality)
        prepared = self.encoder.prepare(clip)
        if self.encoder.device.type == "cuda":  # copied to the GPU while it computes
            prepared = {m: tensor.pin_memory() for m, tensor in prepared.items()}
        return NetworkInput(prepared, duration_seconds=clip.duration_seconds)


class Network:
    """Encodes what was preprocessed. ``run`` is thread-safe."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._turn = threading.Lock()

    def run(self, batch: Sequence[NetworkInput]) -> list[Encoded]:
        """Return the codes of each item.

        Raises:
            InvalidMedia: An item has nothing to encode.
            TooLarge: The batch does not fit into the GPU's memory.
        """
        # The number of OpenMP threads is set for each calling thread. With more than one, the
        # last bits of float32 sums depend on the load, and so may codes.
        torch.set_num_threads(1)
        with as_service_errors():
            streams = [self._preprocess(item) for item in batch]
            features = self._core_batch(batch, streams)
            with self._turn_to_quantize():
                quantized = iter(self.encoder.quantize(features))
        encoded = []
        for item, tensors in zip(batch, streams, strict=True):
            by_modality = {m: next(quantized) for m in tensors}
            encoded.append(
                Encoded(
                    {m: stream.codes for m, stream in by_modality.items()},
                    {m: stream.query for m, stream in by_modality.items()},
                    item.duration_seconds,
                    {m: stream.error for m, stream in by_modality.items()},
                )
            )
        return encoded

    def probes(self) -> list[NetworkInput]:
        """Return an item of each modality, to test and warm up the network."""
        config = self.encoder.decode_config()
        side, rate = config.short_side, config.sample_rate
        frames = np.zeros((1, config.frames_per_step, side, side, 3), np.uint8)
        clip = Clip(frames, np.zeros(rate, np.float32), 1.0, rate)
        probes = []
        if Modality.TEXT in self.encoder.modalities:
            probes.append(NetworkInput("a word"))
        if set(self.encoder.modalities) - {Modality.TEXT}:
            probes.append(NetworkInput(self.encoder.prepare(clip)))
        return probes

    def _preprocess(self, item: NetworkInput) -> Mapping[Modality, Tensor]:
        return self.encoder.prepare(item.inputs) if isinstance(item.inputs, str) else item.inputs

    def _core_batch(
        self, batch: Sequence[NetworkInput], streams: Sequence[Mapping[Modality, Tensor]]
    ) -> list[tuple[Modality, Tensor]]:
        """Return the features of all streams of all items; pictures repeated over their steps."""
        raw = [
            stream
            for item, tensors in zip(batch, streams, strict=True)
            for stream in tensors.items()
            if not item.are_features
        ]
        extracted = iter(self.encoder.features(raw))
        features = []
        for item, tensors in zip(batch, streams, strict=True):
            for m, tensor in tensors.items():
                steps = tensor if item.are_features else next(extracted)
                is_still = item.duration_seconds is None
                features.append((m, self.encoder.held(m, steps) if is_still else steps))
        return features

    @contextmanager
    def _turn_to_quantize(self) -> Iterator[None]:
        """Quantize in one thread at a time: it is many operations of microseconds.

        Threads that quantize at the same time wait for the GIL after each operation, which costs
        more than the operations. This guards nothing: if one thread hangs, the others continue.
        """
        has_turn = self._turn.acquire(timeout=MAX_TURN_SECONDS)
        try:
            yield
        finally:
            if has_turn:
                self._turn.release()


def make_decode_pool(
    encoder: Encoder, settings: Settings, *, observer: EngineObserver | None = None
) -> DecodePool:
    """Return a pool that decodes for ``encoder`` within the limits of ``settings``.

    Raises:
        ConfigError: The sandbox is required, and the kernel lacks a part of it.
    """
    return DecodePool(
        settings.max_decodes,
        config=encoder.decode_config(
            max_steps=settings.max_steps,
            max_seconds=settings.max_media_seconds,
            max_bytes=settings.max_media_bytes,
        ),
        limits=DecodeLimits(
            memory_bytes=settings.max_decode_memory_bytes, seconds=settings.max_decode_seconds
        ),
        observer=observer or EngineObserver(),
        requires_sandbox=settings.decode_sandbox == "required",
    )


@contextmanager
def as_service_errors() -> Iterator[None]:
    """Turn the model package's media errors, and a full GPU, into service errors.

    Raises:
        InvalidMedia: Not decodable, empty, or without the requested stream.
        TooLarge: Longer or heavier than the settings allow.
    """
    try:
        yield
    except MediaTooLarge as error:
        message = str(error)
        for limit, setting in SETTINGS.items():
            message = message.replace(f"raise {limit}", f"raise {setting}")
        raise TooLarge(message) from error
    except MediaError as error:
        raise InvalidMedia(str(error)) from error
    except torch.OutOfMemoryError as error:
        raise TooLarge(
            "this does not fit into the GPU's memory: send fewer seconds, or raise "
            "SRCID_MAX_GPU_MEMORY_BYTES"
        ) from error


def _only(clip: Clip, modality: Modality) -> Clip:
    """Drop all streams but one."""
    stream = {
        Modality.AUDIO: clip._replace(frames=None),
        Modality.VIDEO: clip._replace(waveform=None),
    }.get(modality)
    if stream is None or (stream.frames is None and stream.waveform is None):
        raise InvalidMedia(
            f"the upload has no {modality} stream: request one that it has, or omit modality"
        )
    return stream
