"""Every error that the package raises because of what it was given.

* SRCIDError
  + ConfigError        a configuration that contradicts itself or names what does not exist
  + CheckpointError    a checkpoint that is missing, damaged or does not fit
  + MediaError         bytes that are not a decodable clip, sound, picture or sentence
    - MediaTooLarge    a clip that decodes, but is longer or larger than the limits
  + ShapeError         a tensor of another shape than the network was built for
  + DataError          training or evaluation data that is missing or malformed

The message says what was wrong, with the value, and what to do.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError


class SRCIDError(Exception):
    """Base of every error above."""


class ConfigError(SRCIDError):
    """A configuration contradicts itself or names what does not exist."""


class CheckpointError(SRCIDError):
    """A checkpoint is missing, damaged or does not fit."""


class MediaError(SRCIDError):
    """The bytes are not a decodable clip, sound, picture or sentence."""


class MediaTooLarge(MediaError):
    """The clip is longer or larger than the limits allow."""


class ShapeError(SRCIDError):
    """A tensor has another shape than the network was built for."""


class DataError(SRCIDError):
    """Training or evaluation data is missing or malformed."""


def reason_of(error: OSError | ValidationError) -> str:
    """Return in one sentence why a file cannot be read: the first fault where there are several."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {message_of(first)}" if where else message_of(first)


def message_of(error: Mapping[str, Any]) -> str:
    """Return the message of one of pydantic's errors, without the class of its exception."""
    return str(error["msg"]).removeprefix("Value error, ")
