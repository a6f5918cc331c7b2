"""The only file that imports ``pymilvus``: one collection of rows, and its errors."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from app.errors import IndexMismatch, StoreUnavailable
from app.store.milvus.rows import MAX_ID_BYTES, MAX_TERMS, MAX_TEXT_BYTES, MilvusRow
from app.store.milvus.vectors import Weights
from app.store.mismatch import old_checkpoint
from model.errors import ConfigError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

logger = logging.getLogger(__name__)

LAYOUT = "1"  # of the rows; other layouts are rejected
STAMP, LAYOUT_STAMP = "srcid.fingerprint", "srcid.layout"  # properties of the collection
MOST_HITS = 16_384  # of one search, Milvus's limit
PAGE = 1000  # rows per response while many are read
SECONDS = 10.0  # for one call
LITE = "milvus_lite"  # the name of the server for tests


class Address(NamedTuple):
    """The place of a collection."""

    url: str
    collection: str
    token: str | None = None  # "user:password", or an API key

    def __str__(self) -> str:
        return f"Milvus's collection {self.collection!r} at {self.url.rpartition('@')[2]}"


class Match(NamedTuple):
    """One result of a search."""

    row: MilvusRow
    product: float  # of its vector with the query's


class Collection:
    """Rows of one checkpoint. Methods may be called from any thread.

    Args:
        address: The collection, created if missing, unless ``read_only``.
        fingerprint: The checkpoint in use. A collection without rows takes any.
        read_only: Change nothing.

    Raises:
        ConfigError: ``pymilvus`` is not installed.
        IndexMismatch: The rows were made with another checkpoint.
        StoreUnavailable: Milvus does not answer, or there is no collection to read.
    """

    def __init__(self, address: Address, *, fingerprint: str, read_only: bool) -> None:
        self._address = address
        self._name = address.collection
        pymilvus = _pymilvus()
        self._error: type[Exception] = pymilvus.MilvusException
        with self._translated():
            self._client: MilvusClient = pymilvus.MilvusClient(
                address.url, token=address.token or "", timeout=SECONDS
            )
            try:
                self._open(fingerprint, read_only=read_only)
            except BaseException:
                self.close()
                raise

    def __str__(self) -> str:
        return str(self._address)

    def upsert(self, rows: Sequence[MilvusRow]) -> None:
        """Write rows, replacing those with the same key. Durable on return."""
        self._call(self._client.upsert, data=list(rows))

    def delete(self, key: str) -> None:
        """Delete the row with that key, if any."""
        self._call(self._client.delete, ids=[key])

    def get(self, key: str) -> MilvusRow | None:
        """Return the row with that key, as of the last write of any process."""
        rows: list[MilvusRow] = self._call(
            self._client.get, ids=[key], output_fields=["item"], consistency_level="Strong"
        )
        return rows[0] if rows else None

    def count(self, expression: str = "") -> int:
        """Return the number of rows that match ``expression``; "" counts all, as of now."""
        rows = self._call(
            self._client.query,
            filter=expression,
            output_fields=["count(*)"],
            consistency_level="Session" if expression else "Strong",
        )
        return int(rows[0]["count(*)"])

    def rows(self, expression: str = "", *, at_once: int = PAGE) -> Iterator[MilvusRow]:
        """Yield the rows that match ``expression``, by key.

        Args:
            expression: A filter; "" matches all.
            at_once: Rows per response.
        """
        pages = self._call(
            self._client.query_iterator,
            filter=expression,
            batch_size=at_once,
            output_fields=["item"],
        )
        with closing(pages):
            while True:
                with self._translated():
                    page = pages.next()
                if not page:
                    return
                yield from page

    def search(self, weights: Weights, *, expression: str, limit: int) -> list[Match]:
        """Return the rows with the largest products with a sparse vector, largest first.

        Args:
            weights: None of them negative.
            expression: A filter; "" matches all.
            limit: Most rows, at most ``MOST_HITS``.
        """
        (results,) = self._call(
            self._client.search,
            data=[weights],
            anns_field="codes",
            filter=expression,
            limit=limit,
            output_fields=["item"],
            consistency_level="Session",
        )
        return [Match(hit["entity"], float(hit["distance"])) for hit in results]

    def close(self) -> None:
        """Close the connection."""
        with suppress(self._error):
            self._client.close()

    def _open(self, fingerprint: str, *, read_only: bool) -> None:
        """Create the collection, or check the checkpoint of the existing one."""
        if not self._client.has_collection(self._name):
            if read_only:
                raise StoreUnavailable(
                    f"{self} does not exist: index media first (srcid index), or name another "
                    "collection (SRCID_STORE_COLLECTION)"
                )
            self._create(fingerprint)
        stamps = self._client.describe_collection(self._name)["properties"]
        if stamps.get(LAYOUT_STAMP) != LAYOUT:
            raise StoreUnavailable(
                f"{self} was not made by this version of srcid: name another collection "
                "(SRCID_STORE_COLLECTION) and index the media again"
            )
        self._client.load_collection(self._name)
        if stamps[STAMP] == fingerprint:
            return
        if count := self.count():
            raise IndexMismatch(
                f"the {count} items in {self} were encoded with checkpoint {stamps[STAMP]}, but "
                f"{fingerprint} is in use: {old_checkpoint(stamps[STAMP])}, or index the media "
                "again in another collection (SRCID_STORE_COLLECTION)"
            )
        if not read_only:
            self._client.drop_collection(self._name)
            self._create(fingerprint)

    def _create(self, fingerprint: str) -> None:
        from pymilvus import DataType

        schema = self._client.create_schema(auto_id=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=2 * MAX_ID_BYTES)
        schema.add_field("item", DataType.VARCHAR, max_length=MAX_TEXT_BYTES)
        schema.add_field("metadata", DataType.JSON)
        schema.add_field("codes", DataType.SPARSE_FLOAT_VECTOR)
        schema.add_field(
            "marks", DataType.ARRAY, element_type=DataType.INT64, max_capacity=MAX_TERMS
        )
        indexes = self._client.prepare_index_params()
        indexes.add_index("codes", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
        if LITE not in self._client.get_server_version():  # which has no index on arrays
            indexes.add_index("marks", index_type="INVERTED")
        self._client.create_collection(
            self._name,
            schema=schema,
            consistency_level="Strong",
            properties={STAMP: fingerprint, LAYOUT_STAMP: LAYOUT},
        )
        self._client.create_index(self._name, indexes, sync=False)  # no rows: no need to wait
        self._client.load_collection(self._name)

    def _call(self, method: Callable[..., Any], **options: object) -> Any:
        with self._translated():
            return method(self._name, timeout=SECONDS, **options)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Translate Milvus's errors into ours."""
        try:
            yield
        except self._error as error:
            message = getattr(error, "message", "") or str(error)
            raise StoreUnavailable(
                f"{self} cannot be used ({message:.300}): check that Milvus runs there, and that "
                "address, token and name are right (SRCID_STORE_URL, SRCID_STORE_TOKEN, "
                "SRCID_STORE_COLLECTION)"
            ) from error


def _pymilvus() -> ModuleType:
    try:
        import pymilvus
    except ImportError as error:
        raise ConfigError(
            f"SRCID_STORE_URL is set, but pymilvus cannot be imported ({error}): install it with "
            "pip install 'srcid[cluster]', or leave SRCID_STORE_URL out for an index on this "
            "machine"
        ) from error
    return pymilvus
