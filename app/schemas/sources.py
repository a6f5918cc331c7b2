"""The source of a request: a sentence, an upload, media inside JSON, or an indexed item."""

import base64
import binascii
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple, Protocol

from pydantic import BeforeValidator, Discriminator, Field, Tag

from app.errors import InvalidMedia
from app.schemas.fields import Body, ItemId
from model.files import check_sentence
from model.modality import Modality

URLS = ("http:", "https:", "ftp:", "file:", "s3:")


class ItemReference(NamedTuple):
    """An indexed item; its stored codes are used."""

    item_id: str


# Media or features as bytes or a file, a sentence as text, or a stored item.
Source = bytes | Path | str | ItemReference


class HasSource(Protocol):
    """Something to encode: a request, or a part of one."""

    @property
    def source(self) -> Source:
        """The media, sentence or item."""

    @property
    def modality(self) -> Modality | None:
        """The stream to use, if only one."""


@dataclass(frozen=True)
class Subject:
    """Something to encode, named in Python.

    Raises:
        TypeError: It is a path as text.
    """

    source: Source
    modality: Modality | None = None

    def __post_init__(self) -> None:
        check_sentence(self.source)


class Sentence(Body):
    """A request about a sentence."""

    text: str = Field(description="One sentence", examples=["a dog barks"])

    @property
    def source(self) -> str:
        """The source to encode."""
        return self.text

    @property
    def modality(self) -> Modality | None:
        """A sentence has one stream."""
        return None


class _OneStream(Body):
    modality: Modality | None = Field(
        None,
        description="Stream to use of a clip with picture and sound; for features in an npy file, "
        "their modality",
    )


class Upload(_OneStream):
    """A request about media, or about features of the checkpoint's backbones."""

    file: bytes = Field(
        description="A video, sound or picture; or features as npy or safetensors",
        json_schema_extra={"format": "binary"},
    )

    @property
    def source(self) -> bytes:
        """The source to encode."""
        return self.file


class Media(_OneStream):
    """A request about media embedded in the JSON."""

    media: str = Field(
        description="A video, sound, picture or features in base64, or as a data: URI. "
        "URLs are never fetched",
        examples=["data:audio/wav;base64,UklGRg=="],
    )

    @property
    def source(self) -> bytes:
        """The source to encode."""
        return decoded_media(self.media)


class Like(_OneStream):
    """A request about an indexed item; its stored codes are used."""

    item: ItemId

    @property
    def source(self) -> ItemReference:
        """The item to look up."""
        return ItemReference(self.item)


def is_address(text: str) -> bool:
    """Return whether a text is a ``data:`` URI, or a URL and nothing else."""
    address = text.strip()
    return address[:5].lower() == "data:" or (
        _is_url(address) and not any(map(str.isspace, address))
    )


def _is_url(text: str) -> bool:
    return text[:8].lower().startswith(URLS)


def decoded_media(text: str) -> bytes:
    """Return the bytes of base64 or of a ``data:`` URI.

    Raises:
        InvalidMedia: It is neither; a URL is named as what it is, since none is fetched.
    """
    payload = text.strip()
    if _is_url(payload):
        raise InvalidMedia(
            f"media is a URL ({payload[:40]!r}), and no URL is ever fetched: send the bytes "
            "themselves, as an upload, in base64 or as a data: URI"
        )
    if payload[:5].lower() == "data:":
        head, comma, payload = payload.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise InvalidMedia(
                f"media begins with {head[:40]!r}: a data: URI is taken in base64 only, "
                "data:<type>;base64,<data>"
            )
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidMedia(f"media is not base64 ({error}): encode the bytes of the file") from None


def kind_of_source(value: object) -> str:
    """Return the field that says what a request or a part of it is about; "text" by default."""
    if isinstance(value, str):
        return "plain"
    has = value.__contains__ if isinstance(value, dict) else partial(hasattr, value)
    return next((name for name in ("media", "item") if has(name)), "text")


def _as_sentence(value: object) -> object:
    """Accept a plain sentence as a part."""
    return {"text": value} if isinstance(value, str) else value


class _Weighted(Body):
    weight: float = Field(1, gt=0, le=100, description="Weight relative to the query, which has 1")


class SentencePart(_Weighted, Sentence):
    """A sentence as part of a query."""


class MediaPart(_Weighted, Media):
    """Media as part of a query."""


class LikePart(_Weighted, Like):
    """An item as part of a query."""


_Plain = BeforeValidator(_as_sentence, json_schema_input_type=str)
QueryPart = Annotated[
    Annotated[SentencePart, _Plain, Tag("plain")]
    | Annotated[SentencePart, Tag("text")]
    | Annotated[MediaPart, Tag("media")]
    | Annotated[LikePart, Tag("item")],
    Discriminator(kind_of_source),
]
SubjectField = Annotated[
    Annotated[Sentence, _Plain, Tag("plain")]
    | Annotated[Sentence, Tag("text")]
    | Annotated[Media, Tag("media")]
    | Annotated[Like, Tag("item")],
    Discriminator(kind_of_source),
]
