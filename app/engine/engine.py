"""A clip or sentence in, the codes of its streams out."""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from app.errors import InvalidMedia, TooLarge
from app.settings import Settings
from model.encoder import Encoder
from model.errors import MediaError, MediaTooLarge
from model.feature_file import is_feature_file, read_features
from model.media import Clip, DecodeConfig, read_clip
from model.modality import Modality
from model.sampling import jpeg

# Media as bytes, file or decoded; features as the bytes of a feature file; a sentence as text.
Source = bytes | Path | Clip | str
THUMBNAIL_PIXELS = 240  # the shorter side


class Encoded(NamedTuple):
    """The streams of one clip or sentence."""

    codes: Mapping[Modality, NDArray[np.int16]]  # [C, T] each
    duration_seconds: float | None  # of the media; None for a picture or a sentence


class Engine:
    """Decodes and encodes. Methods may be called from any thread.

    At most ``settings.max_decodes`` media files are decoded at once, others wait; the network
    runs in one thread at a time. A sentence waits for no decoding.
    """

    def __init__(self, encoder: Encoder, settings: Settings) -> None:
        self.encoder = encoder
        self.settings = settings
        self._decoding = threading.BoundedSemaphore(settings.max_decodes)
        self._device = threading.Lock()
        self._limits = DecodeConfig(
            max_steps=settings.max_steps,
            frames_per_step=encoder.frames_per_step,
            max_seconds=settings.max_media_seconds,
            max_bytes=settings.max_media_bytes,
        )

    def encode(self, source: Source, modality: Modality | None = None) -> Encoded:
        """Return the codes of ``source``.

        Args:
            source: Media, or a sentence.
            modality: The only stream wanted of a clip; all that it has by default.

        Raises:
            InvalidMedia: Not decodable, empty, or without that stream.
            TooLarge: Longer or heavier than the settings allow.
        """
        try:
            if isinstance(source, str):
                return self._encode_sentence(source)
            if isinstance(source, bytes) and is_feature_file(source):
                return self._encode_features(source, modality)
            return self._encode_media(source, modality)
        except MediaTooLarge as error:
            raise TooLarge(str(error)) from error
        except MediaError as error:
            raise InvalidMedia(str(error)) from error

    async def encode_async(self, source: Source, modality: Modality | None = None) -> Encoded:
        """Return the codes of ``source``; see ``encode``. Cancelling drops what has not begun."""
        return await asyncio.to_thread(self.encode, source, modality)

    def thumbnail(self, source: bytes | Path) -> bytes | None:
        """Return a small JPEG of a clip's first second or of a picture; None where there is none.

        Raises:
            InvalidMedia: Not decodable, or empty.
            TooLarge: Longer or heavier than the settings allow.
        """
        limits = {"max_steps": 1, "frames_per_step": 1, "short_side": THUMBNAIL_PIXELS}
        try:
            with self._decoding:
                clip = read_clip(source, self._limits.model_copy(update=limits))
        except MediaTooLarge as error:
            raise TooLarge(str(error)) from error
        except MediaError as error:
            raise InvalidMedia(str(error)) from error
        return None if clip.frames is None else jpeg(clip.frames[0, 0])

    def _encode_sentence(self, text: str) -> Encoded:
        if len(text) > self.settings.max_text_characters:
            raise TooLarge(
                f"the sentence has {len(text)} characters, at most "
                f"{self.settings.max_text_characters} are taken: shorten it, or raise "
                "SRCID_MAX_TEXT_CHARACTERS"
            )
        if not text.strip():
            raise InvalidMedia("the sentence is empty: send at least one word as text")
        with self._device:
            return Encoded({Modality.TEXT: self.encoder.encode_text(text)}, None)

    def _encode_features(self, source: bytes, modality: Modality | None) -> Encoded:
        features = read_features(
            source, self.encoder.config, modality=modality, max_steps=self.settings.max_steps
        )
        items = [(own, torch.from_numpy(array)) for own, array in features.items()]
        with self._device:
            codes = self.encoder.encode_features(items)
        is_text = features.keys() == {Modality.TEXT}
        seconds = None if is_text else float(max(len(array) for array in features.values()))
        return Encoded(dict(zip(features, codes, strict=True)), seconds)

    def _encode_media(self, source: bytes | Path | Clip, modality: Modality | None) -> Encoded:
        with self._decoding:
            clip = source if isinstance(source, Clip) else read_clip(source, self._limits)
            if modality:
                clip = _only(clip, modality)
            prepared = self.encoder.prepare(clip)
        with self._device:
            codes = self.encoder.encode(list(prepared.items()))
        return Encoded(dict(zip(prepared, codes, strict=True)), clip.duration_seconds)


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
