"""The codes of all items as a FAISS index, for programs without this package."""

import json
from collections.abc import Iterable
from pathlib import Path

from app.errors import IndexMismatch, InvalidRequest
from app.store.base import Item
from app.store.index.pq import pq_file
from app.store.mismatch import old_checkpoint
from model.encoder import Encoder
from model.files import PRIVATE, atomic_write

IDS = ".jsonl"  # is added to the name of the file with an id and a modality a row


def export_index(items: Iterable[Item], path: Path, *, fingerprint: str, encoder: Encoder) -> None:
    """Write a FAISS index to ``path``, and the id and modality of each of its rows beside it.

    Args:
        items: The items to write.
        path: Of the index.
        fingerprint: Of the checkpoint that encoded the items.
        encoder: The checkpoint in use.

    Raises:
        IndexMismatch: The items were encoded with another checkpoint.
        InvalidRequest: There are no items, or the disk rejects the write.
    """
    if fingerprint not in ("", encoder.fingerprint):
        raise IndexMismatch(
            f"the items were encoded with checkpoint {fingerprint}, but {encoder.fingerprint} is "
            f"in use: {old_checkpoint(fingerprint)}"
        )
    names, streams = [], []
    for item in items:
        for modality, stream in item.streams.items():
            names.append(json.dumps([item.id, modality]) + "\n")
            streams.append(stream.codes)
    if not streams:
        raise InvalidRequest("the index is empty: add items first (srcid index)")
    try:
        with atomic_write(path.with_name(path.name + IDS), mode=PRIVATE) as file:
            file.write("".join(names).encode())
        with atomic_write(path, mode=PRIVATE) as file:
            file.write(pq_file(encoder.vocabulary, streams))
    except OSError as error:
        raise InvalidRequest(
            f"cannot write {path} ({error.strerror or error}): free disk space, or name a file in "
            "an existing, writable folder"
        ) from error
