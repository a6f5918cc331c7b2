"""What ``Encoder.encode`` takes: media in any of the usual forms, and sentences."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.errors import MediaError
from model.files import check_sentence
from model.media import Clip, DecodeConfig, clip_of_picture, clip_of_sound, read_clip

# A sentence, media as a file or its bytes, a picture, a sound with its rate, or decoded media.
Source = str | Path | bytes | Image.Image | tuple[NDArray[Any], int] | Clip
MAX_SECONDS = 3600  # of a file


def opened(source: object, config: DecodeConfig) -> Clip | str:
    """Return a ``Source`` as decoded media or a sentence.

    Raises:
        TypeError: It is no ``Source``, or the path of a file as a str.
        MediaError: It does not decode, or the sentence is empty.
    """
    match source:
        case str():
            check_sentence(source)
            if not source.strip():
                raise MediaError("the sentence is empty: give at least one word")
            return source
        case Clip():
            return source
        case Path() | bytes():
            return read_clip(source, config)
        case Image.Image():
            return clip_of_picture(source, config)
        case (np.ndarray() as waveform, int() as rate):
            return clip_of_sound(waveform, rate, config)
    advice = (
        "give a sentence (str), a file (pathlib.Path or bytes), a PIL image, a sound as "
        "(waveform, rate), a decoded Clip, or a list of these"
    )
    if isinstance(source, np.ndarray):
        advice = "give a sound as (waveform, rate), a picture as PIL.Image.fromarray(array)"
    raise TypeError(f"cannot encode a {type(source).__name__}: {advice}")
