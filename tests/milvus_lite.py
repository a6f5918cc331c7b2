"""Milvus for tests: ``milvus-lite``, Milvus's small server in Python, in this process."""

import atexit
import hashlib
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import pytest

from app.store.base import Store
from app.store.milvus.collection import Address
from app.store.milvus.store import MilvusStore
from model.encoder import Vocabulary

UNTIL_THE_END = ExitStack()
atexit.register(UNTIL_THE_END.close)


@contextmanager
def milvus_serving(folder: Path) -> Iterator[str]:
    """Yield the address of a server; skip where it cannot run.

    Its own ``start_server_in_thread`` ends connections that are idle: to it the client's pings
    are too many, while Milvus expects them.
    """
    pytest.importorskip("pymilvus", reason="needs pip install 'srcid[cluster]'")
    pytest.importorskip("milvus_lite", reason="needs milvus-lite")
    import grpc
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from milvus_lite.db import MilvusLite
    from pymilvus.grpc_gen.milvus_pb2_grpc import add_MilvusServiceServicer_to_server

    patience = [
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
        ("grpc.http2.max_ping_strikes", 0),
    ]
    with MilvusLite(str(folder)) as database:
        server = grpc.server(ThreadPoolExecutor(4), options=patience)
        add_MilvusServiceServicer_to_server(MilvusServicer(database), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.stop(grace=None).wait()


@cache
def milvus_url() -> str:
    """Return the address of a server for all tests, which ends with this process."""
    folder = UNTIL_THE_END.enter_context(tempfile.TemporaryDirectory(prefix="srcid-milvus-"))
    return UNTIL_THE_END.enter_context(milvus_serving(Path(folder)))


def address_of(folder: Path) -> Address:
    """Return the collection that stands for a folder."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Address(milvus_url(), f"test_{name}")


def open_milvus(folder: Path, vocabulary: Vocabulary, fingerprint: str) -> Store:
    """Open the store that stands for a folder."""
    return MilvusStore(address_of(folder), vocabulary, fingerprint=fingerprint)
