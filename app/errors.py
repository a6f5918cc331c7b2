"""Every error the service answers with, and the status it is answered by.

* ServiceError            500
  + InvalidRequest        422  a field is missing, unknown or out of range
  + InvalidMedia          422  the upload is not a decodable clip or sentence
  + TooLarge              413  longer or heavier than Settings allows
  + UnsupportedBody       415  a body of a media type that the call does not take
  + NotFound              404  no such item or path
  + ItemExists            409  an item of that id is already there
  + IndexMismatch         409  the index was built with another checkpoint
  + StoreUnavailable      503  the data directory is in use, damaged or not writable

The message says what was wrong, with the value, and what to do.
"""

from typing import ClassVar


class ServiceError(Exception):
    """Base of every error above."""

    status: ClassVar[int] = 500


class InvalidRequest(ServiceError):
    """A field of the request is missing, unknown or out of range."""

    status = 422


class InvalidMedia(ServiceError):
    """The upload is not a decodable clip, sound, picture or sentence."""

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


class StoreUnavailable(ServiceError):
    """The data directory is in use by another process, damaged or not writable."""

    status = 503
