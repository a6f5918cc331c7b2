"""Every error the service answers with, and the status it is answered by.

* ServiceError            500
  + Unauthorized          401  no API key, or one that is not known here
  + Forbidden             403  the API key may not do this
  + InvalidRequest        422  a field is missing, unknown or out of range
  + InvalidMedia          422  the upload is not a decodable clip or sentence
  + StoreLimit            422  more than the store in use can go through for one answer
  + TooLarge              413  longer or heavier than Settings allows
  + UnsupportedBody       415  a body of a media type that the call does not take
  + NotFound              404  no such item or path
  + ItemExists            409  an item of that id is already there
  + IndexMismatch         409  the index was built with another checkpoint
  + RateLimited           429  the API key asks more often than it may
  + StoreUnavailable      503  the data directory is in use, damaged or not writable
  + Overloaded            503  as much waits as may wait; Retry-After says when to come back
  + EngineFailed          503  decoding or encoding broke down; it is being repaired
  + Starting              503  the checkpoint is being loaded
  + Stopping              503  the service is being stopped

The message says what was wrong, with the value, and what to do.
"""

from typing import ClassVar


class ServiceError(Exception):
    """Base of every error above."""

    status: ClassVar[int] = 500
    retry_after_seconds: float | None = None  # when to try again, where waiting helps


class Unauthorized(ServiceError):
    """There is no API key with the request, or one that is not known here."""

    status = 401


class Forbidden(ServiceError):
    """The API key may not do this."""

    status = 403


class InvalidRequest(ServiceError):
    """A field of the request is missing, unknown or out of range."""

    status = 422


class InvalidMedia(ServiceError):
    """The upload is not a decodable clip, sound, picture or sentence."""

    status = 422


class StoreLimit(ServiceError):
    """The store in use would have to go through more than it can for one answer."""

    status = 422


class TooLarge(ServiceError):
    """The request is longer or heavier than the settings allow."""

    status = 413


class UnsupportedBody(ServiceError):
    """The body has a media type that the call does not take."""

    status = 415


class NotFound(ServiceError):
    """There is no such item or path."""

    status = 404


class ItemExists(ServiceError):
    """An item of that id is already there."""

    status = 409

    def __init__(self, item_id: str) -> None:
        super().__init__(
            f"an item {item_id!r} exists: replace it (PUT /items/{item_id}), delete it first, or "
            "choose another id"
        )


class IndexMismatch(ServiceError):
    """The index was built with another checkpoint than the one in use."""

    status = 409


class RateLimited(ServiceError):
    """The API key asks more often than it may."""

    status = 429

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StoreUnavailable(ServiceError):
    """The data directory is in use by another process, damaged or not writable."""

    status = 503


class Overloaded(ServiceError):
    """As much waits as may wait; the same request succeeds later."""

    status = 503

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(f"{message}: try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class EngineFailed(ServiceError):
    """Decoding or encoding broke down, not by the fault of the request, and is being repaired."""

    status = 503
    retry_after_seconds = 2


class Starting(ServiceError):
    """The service has been started and loads its checkpoint: it is alive, and not yet ready."""

    status = 503
    retry_after_seconds = 1


class Stopping(ServiceError):
    """The service is being stopped: it answers what it has, and is to be given no more."""

    status = 503
    retry_after_seconds = 10
