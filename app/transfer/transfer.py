"""Items to a file, and back. The file extension selects the format."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from app.errors import IndexMismatch, InvalidRequest
from app.store.base import Item
from app.store.mismatch import old_checkpoint
from app.transfer.base import ExportedItem, Format, Reader
from app.transfer.faiss_file import FAISS, FaissFile
from app.transfer.jsonl import Jsonl
from app.transfer.parquet import Parquet
from model.encoder import Vocabulary
from model.files import PRIVATE, atomic_write

FORMATS: dict[str, type[Format[Any]]] = {".jsonl": Jsonl, ".parquet": Parquet}


def export_items(items: Iterable[Item], path: Path, *, fingerprint: str) -> None:
    """Write ``items`` to ``path``, replacing an existing file once all are written.

    Args:
        items: The items to write.
        path: Ends with .jsonl or .parquet.
        fingerprint: Of the checkpoint that encoded them.

    Raises:
        InvalidRequest: The extension is unknown, or the disk rejects the write.
        ConfigError: The format's library is not installed.
    """
    file_format = _format_of(path)
    try:
        with atomic_write(path, mode=PRIVATE) as file:
            file_format.write(items, file, fingerprint=fingerprint)
    except OSError as error:
        raise InvalidRequest(
            f"cannot write {path} ({error.strerror or error}): free disk space, or name a file in "
            "an existing, writable folder"
        ) from error


def read_items(path: Path, *, vocabulary: Vocabulary, fingerprint: str) -> Iterator[Item]:
    """Yield the items of a file that ``export_items`` or ``export_index`` wrote.

    Args:
        path: Ends with .jsonl, .parquet or .faiss.
        vocabulary: Of the checkpoint in use.
        fingerprint: Of the checkpoint in use.

    Raises:
        IndexMismatch: An item was encoded with another checkpoint.
        InvalidRequest: The file is missing or damaged; the message names the item at fault.
        ConfigError: The format's library is not installed.
    """
    reader: Reader[Any] = FaissFile(vocabulary) if path.suffix == FAISS else _format_of(path)
    where = f"{path}"
    try:
        for number, row in enumerate(reader.rows(path), start=1):
            where = f"{path}, item {number}"
            exported = reader.parse(row)
            _check(exported, vocabulary, fingerprint)
            yield exported.item
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror or error}") from error
    except (InvalidRequest, IndexMismatch) as error:
        raise type(error)(f"{where}: {error}") from error


def _format_of(path: Path) -> Format[Any]:
    try:
        return FORMATS[path.suffix]()
    except KeyError:
        raise InvalidRequest(
            f"{path.name} has no known extension: use {', '.join(FORMATS)} or {FAISS}"
        ) from None


def _check(exported: ExportedItem, vocabulary: Vocabulary, fingerprint: str) -> None:
    if exported.fingerprint != fingerprint:
        raise IndexMismatch(
            f"it was encoded with checkpoint {exported.fingerprint}, but {fingerprint} is in use: "
            f"{old_checkpoint(exported.fingerprint)}, or index the media again (srcid index)"
        )
    rows, size = vocabulary.tables.shape[:2]
    for modality, stream in exported.item.streams.items():
        codes = stream.codes
        if len(codes) != rows or not codes.size or codes.min() < 0 or codes.max() >= size:
            raise InvalidRequest(
                f"its {modality} does not have {rows} rows of codes from 0 to {size - 1}"
            )
