"""JSON lines: one item per line, its codes as tokens for a language model."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from app.errors import InvalidRequest
from app.store.base import Item
from app.transfer.base import ExportedItem, Format, item_of, parsed_json
from app.transfer.tokens import sequence, streams_of


class Jsonl(Format[bytes]):
    """Objects with the fields of ``ItemFields`` and ``sequence``, the tokens of all streams."""

    def write(self, items: Iterable[Item], file: BinaryIO, *, fingerprint: str) -> None:
        """Write one line per item."""
        for item in items:
            line = {
                "id": item.id,
                "sequence": sequence({m: stream.codes for m, stream in item.streams.items()}),
                "text": item.text,
                "metadata": dict(item.metadata),
                "sha256": item.sha256,
                "duration_seconds": {m: s.duration_seconds for m, s in item.streams.items()},
                "fingerprint": fingerprint,
            }
            file.write(json.dumps(line).encode() + b"\n")

    def rows(self, path: Path) -> Iterator[bytes]:
        """Yield the lines."""
        with path.open("rb") as file:
            yield from file

    def parse(self, row: bytes) -> ExportedItem:
        """Return the item of a line."""
        fields = parsed_json(row)
        tokens = fields.pop("sequence", None) if isinstance(fields, dict) else None
        if not isinstance(fields, dict) or not isinstance(tokens, str):
            raise InvalidRequest(f"not a JSON object with a sequence: {row[:80]!r}")
        return item_of(fields, streams_of(tokens))
