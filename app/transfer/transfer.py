"""The index into a file, and a file into an index. The file's ending names its format."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from app.errors import IndexMismatch, InvalidRequest
from app.store.base import Item
from app.transfer.base import Exported, Format
from app.transfer.jsonl import Jsonl
from app.transfer.parquet import Parquet
from model.encoder import Vocabulary
from model.files import PRIVATE, atomic_write

FORMATS: dict[str, type[Format[Any]]] = {".jsonl": Jsonl, ".parquet": Parquet}


def export_items(items: Iterable[Item], path: Path, *, fingerprint: str) -> None:
    """Write ``items`` to ``path``, in place of a file that is there, when all are written.

    Args:
        items: Which ones.
        path: Ends with .jsonl or .parquet.
        fingerprint: Of the checkpoint that they were encoded with.

    Raises:
        InvalidRequest: The ending is another, or the disk does not take the file.
        ConfigError: The format's library is not there.
    """
    file_format = _format_of(path)
    try:
        with atomic_write(path, mode=PRIVATE) as file:
            file_format.write(items, file, fingerprint=fingerprint)
    except OSError as error:
        raise InvalidRequest(
            f"{path} cannot be written ({error.strerror or error}): free its disk, or name a file "
            "in a folder that is there and may be written to"
        ) from error


def read_items(path: Path, *, vocabulary: Vocabulary, fingerprint: str) -> Iterator[Item]:
    """Yield the items of a file that ``export_items`` wrote.

    Args:
        path: Ends with .jsonl or .parquet.
        vocabulary: Of the checkpoint in use.
        fingerprint: Of the same.

    Raises:
        IndexMismatch: An item was encoded with another checkpoint.
        InvalidRequest: The file is not there or damaged; the message says which item is at fault.
        ConfigError: The format's library is not there.
    """
    file_format = _format_of(path)
    where = f"{path}"
    try:
        for number, row in enumerate(file_format.rows(path), start=1):
            where = f"{path}, item {number}"
            found = file_format.parse(row)
            _check(found, vocabulary, fingerprint)
            yield found.item
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror or error}") from error
    except (InvalidRequest, IndexMismatch) as error:
        raise type(error)(f"{where}: {error}") from error


def _format_of(path: Path) -> Format[Any]:
    try:
        return FORMATS[path.suffix]()
    except KeyError:
        raise InvalidRequest(
            f"{path.name} has no known ending: name a file that ends with {' or '.join(FORMATS)}"
        ) from None


def _check(found: Exported, vocabulary: Vocabulary, fingerprint: str) -> None:
    if found.fingerprint != fingerprint:
        raise IndexMismatch(
            f"it was encoded with checkpoint {found.fingerprint}, but {fingerprint} is in use: "
            "use that checkpoint (SRCID_CHECKPOINT, --checkpoint), or index the media anew "
            "(srcid index)"
        )
    rows, size = vocabulary.tables.shape[:2]
    for modality, stream in found.item.streams.items():
        codes = stream.codes
        if len(codes) != rows or not codes.size or codes.min() < 0 or codes.max() >= size:
            raise InvalidRequest(
                f"its {modality} is no stream of {rows} rows of codes from 0 to {size - 1}"
            )
