"""The first stage: a clip or a feature file in, what the network takes out."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from app.engine.decode_pool import DecodePool
from app.engine.network import Work, as_service_errors
from app.errors import InvalidMedia
from model.encoder import Encoder
from model.feature_file import is_feature_file, read_features
from model.media import Clip
from model.modality import Modality


class Passage(NamedTuple):
    """Some seconds of a file of media."""

    path: Path
    start_second: int
    num_seconds: int


class Upload(NamedTuple):
    """What somebody wants encoded."""

    source: bytes | Path | Passage | Clip
    modality: Modality | None  # the only stream wanted


class Decoding:
    """Decodes and prepares. ``run`` may be called by several threads at once.

    Args:
        pool: Whose workers decode.
        encoder: Whose backbones say what is made of a clip.
        max_steps: Most steps of ready features.
    """

    def __init__(self, pool: DecodePool, encoder: Encoder, *, max_steps: int) -> None:
        self.pool = pool
        self.encoder = encoder
        self.max_steps = max_steps

    def run(self, batch: Sequence[Upload]) -> list[Work]:
        """Return what the network takes of each upload.

        Raises:
            InvalidMedia: One is not decodable, empty, or without the stream that is wanted.
            TooLarge: One is longer or heavier than the settings allow.
        """
        with as_service_errors():
            return [self._work(upload) for upload in batch]

    def _work(self, upload: Upload) -> Work:
        source = upload.source
        if isinstance(source, bytes) and is_feature_file(source):
            return self._ready(source, upload.modality)
        if isinstance(source, Clip):
            return self._prepared(source, upload.modality)
        config = None
        if isinstance(source, Passage):
            place = {"start_second": source.start_second, "max_steps": source.num_seconds}
            source, config = source.path, self.pool.config.model_copy(update=place)
        with self.pool.decoded(source, config) as clip:  # which is copied while it is prepared
            return self._prepared(clip, upload.modality)

    def _ready(self, source: bytes, modality: Modality | None) -> Work:
        features = read_features(
            source, self.encoder.config, modality=modality, max_steps=self.max_steps
        )
        is_text = features.keys() == {Modality.TEXT}
        return Work(
            {own: torch.from_numpy(array) for own, array in features.items()},
            are_features=True,
            duration_seconds=None if is_text else float(max(map(len, features.values()))),
        )

    def _prepared(self, clip: Clip, modality: Modality | None) -> Work:
        if modality:
            clip = _only(clip, modality)
        prepared = self.encoder.prepare(clip)
        if self.encoder.device.type == "cuda":  # copied to the GPU while it computes
            prepared = {m: own.pin_memory() for m, own in prepared.items()}
        return Work(prepared, duration_seconds=clip.duration_seconds)


def _only(clip: Clip, modality: Modality) -> Clip:
    """Leave one stream of the clip."""
    wanted = {
        Modality.AUDIO: clip._replace(frames=None),
        Modality.VIDEO: clip._replace(waveform=None),
    }.get(modality)
    if wanted is None or (wanted.frames is None and wanted.waveform is None):
        raise InvalidMedia(
            f"the upload has no {modality} stream: name one that it has, or leave modality out"
        )
    return wanted
