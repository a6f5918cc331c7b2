"""Parquet: one item per row, for pandas, polars, DuckDB and Hugging Face's datasets.

The columns are the fields of ``ItemFields``, with the metadata as JSON, and two for each modality:
its codes, as a list of code rows of ``T`` codes each, and its seconds. Null codes mean that the
item has no such stream; null seconds beside codes mean a picture or a sentence.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from app.errors import InvalidRequest
from app.store.base import Item
from app.transfer.base import ExportedItem, Format, item_of, parsed_json
from model.errors import ConfigError
from model.modality import Modality

GROUP = 10_000  # items compressed together
TEXTS = ("id", "text", "metadata", "sha256", "fingerprint")


class Parquet(Format[dict[str, Any]]):
    """Apache Parquet, through pyarrow.

    Raises:
        ConfigError: pyarrow is not installed.
    """

    def __init__(self) -> None:
        try:
            import pyarrow.parquet
        except ImportError:
            raise ConfigError(
                "Parquet needs pyarrow: `pip install 'srcid[parquet]'`, or name a .jsonl file"
            ) from None
        self._arrow = pyarrow
        codes = pyarrow.list_(pyarrow.list_(pyarrow.int16()))
        fields = [(name, pyarrow.string()) for name in TEXTS]
        for m in Modality:
            fields += [(f"{m}_codes", codes), (f"{m}_seconds", pyarrow.float64())]
        self._schema = pyarrow.schema(fields)

    def write(self, items: Iterable[Item], file: BinaryIO, *, fingerprint: str) -> None:
        """Write one row per item."""
        remaining = (_row(item, fingerprint) for item in items)
        with self._arrow.parquet.ParquetWriter(file, self._schema, compression="zstd") as table:
            while rows := list(islice(remaining, GROUP)):
                table.write_batch(self._arrow.RecordBatch.from_pylist(rows, schema=self._schema))

    def rows(self, path: Path) -> Iterator[dict[str, Any]]:
        """Yield the rows as dicts by column name."""
        names = set(self._schema.names)
        try:
            with self._arrow.parquet.ParquetFile(path) as file:
                if set(file.schema_arrow.names) != names:
                    raise InvalidRequest(
                        f"its columns differ from those of `srcid store export` in "
                        f"{sorted(names ^ set(file.schema_arrow.names))}"
                    )
                for batch in file.iter_batches(GROUP):
                    table = self._arrow.Table.from_batches([batch]).select(self._schema.names)
                    yield from table.cast(self._schema).to_pylist()
        except self._arrow.ArrowException as error:
            raise InvalidRequest(f"it is not a valid Parquet file: {error}") from error

    def parse(self, row: dict[str, Any]) -> ExportedItem:
        """Return the item of a row."""
        lists = {m: row[f"{m}_codes"] for m in Modality if row[f"{m}_codes"] is not None}
        fields = {name: row[name] for name in TEXTS} | {
            "metadata": parsed_json(row["metadata"] or ""),
            "duration_seconds": {m: row[f"{m}_seconds"] for m in lists},
        }
        try:
            codes = {m: np.array(c, np.int16).reshape(len(c), -1) for m, c in lists.items()}
        except (TypeError, ValueError):
            raise InvalidRequest(
                "the code rows of a stream differ in length, or are not integers"
            ) from None
        return item_of(fields, codes)


def _row(item: Item, fingerprint: str) -> dict[str, object]:
    row: dict[str, object] = {
        "id": item.id,
        "text": item.text,
        "metadata": json.dumps(dict(item.metadata)),
        "sha256": item.sha256,
        "fingerprint": fingerprint,
    }
    for m, stream in item.streams.items():
        row |= {f"{m}_codes": list(stream.codes), f"{m}_seconds": stream.duration_seconds}
    return row
