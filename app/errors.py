"""Every error of the service, and the HTTP status that it becomes.

* ServiceError            500
  + Unauthorized          401  no API key, or an unknown one
  + Forbidden             403  the API key may not do this
  + InvalidRequest        422  a field is missing, unknown or out of range
  + InvalidMedia          422  the upload is not a decodable clip or sentence
  + StoreLimit            422  more than this kind of store can scan for one answer
  + TooLarge              413  longer or heavier than Settings allows
  + UnsupportedBody       415  the call does not take bodies of this media type
  + NotFound              404  no such item or path
  + ItemExists            409  an item with that id exists
  + IndexMismatch         409  the index was built with another checkpoint
  + RateLimited           429  the API key is over its rate limit
  + StoreUnavailable      503  the data directory is in use, damaged or not writable
  + Overloaded            503  the queue is full; Retry-After says when to try again
  + EngineFailed          503  decoding or encoding broke down; it is being repaired
  + Starting              503  the checkpoint is being loaded
  + Stopping              503  the service is being stopped

The message says what was wrong, with the value, and what to do.
"""

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self
from urllib.parse import quote

from model.errors import message_of

MAX_NAMED = 10  # invalid fields that one error names


class ServiceError(Exception):
    """Base of every error above."""

    status: ClassVar[int] = 500
    retry_after_seconds: float | None = None  # when to try again, where waiting helps


class Unauthorized(ServiceError):
    """The request has no API key, or an unknown one."""

    status = 401


class Forbidden(ServiceError):
    """The API key may not do this."""

    status = 403


class InvalidRequest(ServiceError):
    """A field of the request is missing, unknown or out of range."""

    status = 422

    @classmethod
    def of_fields(cls, errors: Sequence[Mapping[str, Any]]) -> Self:
        """Return the error that names each invalid field, from pydantic's list of errors.

        The ``loc`` of each is the field's path in the body; it is empty for the body itself.
        """
        sentences = [_field_error(error) for error in errors[:MAX_NAMED]]
        if len(errors) > MAX_NAMED:
            sentences.append(f"and {len(errors) - MAX_NAMED} more")
        return cls("; ".join(sentences))


class InvalidMedia(ServiceError):
    """The upload is not a decodable clip, sound, picture or sentence."""

    status = 422


class StoreLimit(ServiceError):
    """The store in use would have to scan more than it can for one answer."""

    status = 422


class TooLarge(ServiceError):
    """The request is longer or heavier than the settings allow."""

    status = 413


class UnsupportedBody(ServiceError):
    """The call does not take bodies of this media type."""

    status = 415


class NotFound(ServiceError):
    """There is no such item or path."""

    status = 404


class ItemExists(ServiceError):
    """An item with that id exists."""

    status = 409

    def __init__(self, item_id: str) -> None:
        address = f"/items/{quote(item_id, safe='')}"
        super().__init__(
            f"an item {item_id!r} exists: replace it (PUT {address}), delete it first, or choose "
            "another id"
        )


class IndexMismatch(ServiceError):
    """The index was built with another checkpoint than the one in use."""

    status = 409


class RateLimited(ServiceError):
    """The API key is over its rate limit."""

    status = 429

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StoreUnavailable(ServiceError):
    """The data directory is in use by another process, damaged or not writable."""

    status = 503


class Overloaded(ServiceError):
    """The queue is full; the same request succeeds later."""

    status = 503

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(f"{message}: try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class EngineFailed(ServiceError):
    """Decoding or encoding broke down through no fault of the request, and is being repaired."""

    status = 503
    retry_after_seconds = 2


class Starting(ServiceError):
    """The service is loading its checkpoint: it is alive, but not yet ready."""

    status = 503
    retry_after_seconds = 1


class Stopping(ServiceError):
    """The service is being stopped: it finishes what it has, and should get no new requests."""

    status = 503
    retry_after_seconds = 10


def _field_error(error: Mapping[str, Any]) -> str:
    where = ".".join(map(str, error["loc"])) or "the body"
    message = message_of(error)
    if error["type"] in {"missing", "extra_forbidden"}:
        return f"{where}: {message}"
    return f"{where} is {reprlib.repr(error['input'])}: {message}"
