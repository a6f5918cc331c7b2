"""An item a line, its codes as tokens of a language model."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from app.errors import InvalidRequest
from app.store.base import Item
from app.transfer.base import Exported, Format, exported, parsed_json
from app.transfer.tokens import sequence, streams_of


class Jsonl(Format[bytes]):
    """JSON objects of ``Row``'s fields and ``sequence``: all streams as one run of tokens."""

    def write(self, items: Iterable[Item], file: BinaryIO, *, fingerprint: str) -> None:
        """Write a line an item."""
        for item in items:
            line = {
                "id": item.id,
                "sequence": sequence({m: own.codes for m, own in item.streams.items()}),
                "text": item.text,
                "metadata": dict(item.metadata),
                "sha256": item.sha256,
                "duration_seconds": {m: own.duration_seconds for m, own in item.streams.items()},
                "fingerprint": fingerprint,
            }
            file.write(json.dumps(line).encode() + b"\n")

    def rows(self, path: Path) -> Iterator[bytes]:
        """Yield the lines."""
        with path.open("rb") as file:
            yield from file

    def parse(self, row: bytes) -> Exported:
        """Return the item of a line."""
        fields = parsed_json(row)
        tokens = fields.pop("sequence", None) if isinstance(fields, dict) else None
        if not isinstance(fields, dict) or not isinstance(tokens, str):
            raise InvalidRequest(f"not a JSON object with a sequence: {row[:80]!r}")
        return exported(fields, streams_of(tokens))
