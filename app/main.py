"""Builds the service and the ASGI app from settings."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from importlib.metadata import version

import torch
from fastapi import FastAPI

from app.api import problems
from app.api.middleware import stack
from app.api.problems import may_answer
from app.api.routes import codes, embeddings, encode, items, jobs, live, page, search, state
from app.engine.engine import Engine
from app.errors import Forbidden, RateLimited, Unauthorized
from app.indexing.bulk import BulkIndex
from app.indexing.jobs import IndexJobs
from app.indexing.media_root import MediaRoot
from app.service.async_service import AsyncRetrievalService
from app.service.items import Items
from app.service.media import MediaFolder
from app.service.service import RetrievalService
from app.settings import Settings
from app.store.base import Store
from app.telemetry.engine_observer import EngineObserver
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import trace
from model.calibration import Calibration, read_calibration
from model.checkpoint import locate
from model.device import limit_memory, usable_device
from model.encoder import Encoder

# A thread that returns from an operation waits for the GIL while another runs Python: up to 5 ms
# by default, where a whole sentence takes 12.
SWITCH_SECONDS = 0.0005


def open_engine(settings: Settings, *, observer: EngineObserver | None = None) -> Engine:
    """Load the checkpoint.

    Args:
        settings: Which checkpoint, and the device it runs on.
        observer: Receives events of the engine.

    Raises:
        CheckpointError: It is missing, damaged or does not fit.
        ConfigError: The device does not exist, or the kernel lacks a sandbox that is required.
    """
    # With more threads float32 sums change in the last bits with the load, and so may codes.
    torch.set_num_threads(1)
    sys.setswitchinterval(SWITCH_SECONDS)
    device = usable_device(settings.device)
    if settings.max_gpu_memory_bytes:
        limit_memory(device, settings.max_gpu_memory_bytes)
    encoder = Encoder.from_pretrained(settings.checkpoint, device=device, download=False)
    return Engine(encoder, settings, observer=observer)


def open_store(settings: Settings, encoder: Encoder, *, read_only: bool = False) -> Store:
    """Open the index: in Milvus if its address is set, else in the data directory.

    Args:
        settings: Which index.
        encoder: The checkpoint whose codes it holds.
        read_only: Only search, beside another process that may write.

    Raises:
        ConfigError: Milvus is configured and ``pymilvus`` is not installed.
        IndexMismatch: The index was built with another checkpoint.
        StoreUnavailable: Another process writes to the data directory, or the index cannot be
            opened.
    """
    if settings.store_url is None:
        from app.store.local import LocalStore  # loads numba, which encoding does not need

        return LocalStore(
            settings.data_dir,
            encoder.vocabulary,
            fingerprint=encoder.fingerprint,
            read_only=read_only,
            index=settings.index,
            probes=settings.index_probes,
            device=str(encoder.device),
        )
    from app.store.milvus.collection import Address
    from app.store.milvus.store import MilvusStore

    token = settings.store_token.get_secret_value() if settings.store_token else None
    address = Address(settings.store_url, settings.store_collection, token)
    return MilvusStore(
        address, encoder.vocabulary, fingerprint=encoder.fingerprint, read_only=read_only
    )


def open_items(settings: Settings, engine: Engine, *, read_only: bool = False) -> Items:
    """Open the stored items and their media; see ``open_store``."""
    store = open_store(settings, engine.encoder, read_only=read_only)
    return Items(engine, store, MediaFolder(settings.data_dir / "media"))


def open_service(settings: Settings, *, read_only: bool = False) -> RetrievalService:
    """Load the checkpoint and open the index, for use in Python; see ``open_store``.

    Raises:
        CheckpointError: The checkpoint is missing, damaged or does not fit.
        ConfigError: The device does not exist.
    """
    engine = open_engine(settings)
    items = open_items(settings, engine, read_only=read_only)
    return RetrievalService(engine, items, _calibration(settings))


def create_app(settings: Settings, *, writer_url: str | None = None) -> FastAPI:
    """Return the app. It opens the service when it starts and closes it when it stops.

    Args:
        settings: Of the service.
        writer_url: The address of another process that serves the same data directory and writes
            to it. This one then only reads, and forwards requests that change something.

    Raises:
        ConfigError: The address is public and there is no API key; or tracing is enabled and its
            packages are missing.
    """
    app = FastAPI(
        title="SRCID",
        summary="Video, sound and text as one shared vocabulary of discrete codes, and search",
        version=version("srcid"),
        docs_url=None,  # see `page`
        redoc_url=None,
        lifespan=partial(_serving, settings=settings, is_writer=writer_url is None),
        # FastAPI's own telemetry looks for an exporter at each request; ours is `trace`.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings = settings
    app.state.live_limit = live.LiveLimit(settings.max_live)
    app.state.metrics = Metrics()
    stack.install(app, settings, metrics=app.state.metrics, writer_url=writer_url)
    app.state.tracer = trace(app) if settings.tracing else None
    problems.install(app)
    # Matched in this order: the most frequent first.
    for part in (encode, search, items, codes, jobs, embeddings, live, state):
        app.include_router(part.router, responses=may_answer(Unauthorized, Forbidden, RateLimited))
    app.include_router(state.probes)
    page.install(app)
    return app


@asynccontextmanager
async def _serving(app: FastAPI, *, settings: Settings, is_writer: bool) -> AsyncIterator[None]:
    """Open the service while the app runs. The process that writes also runs jobs."""
    measured: Metrics = app.state.metrics

    def open_parts() -> tuple[Engine, Items]:
        engine = open_engine(settings, observer=measured)
        return engine, open_items(settings, engine, read_only=not is_writer)

    # In a thread: meanwhile the event loop answers that the process is alive.
    engine, stored = await asyncio.to_thread(open_parts)
    app.state.service = AsyncRetrievalService(engine, stored, _calibration(settings))
    measured.describe(version=app.version, fingerprint=engine.encoder.fingerprint)
    measured.items.set_function(lambda: len(stored.store))
    measured.queue_length.set_function(lambda: engine.num_waiting)
    with closing(stored), engine:
        # In the background: it delays nothing, and ends with the engine.
        decoders = asyncio.create_task(asyncio.to_thread(engine.wait_for_decoders))
        if not is_writer:
            yield
        else:
            sweeping = asyncio.create_task(asyncio.to_thread(stored.sweep))
            root = MediaRoot(settings.media_root) if settings.media_root else None
            index = BulkIndex(engine, stored)
            with IndexJobs(index, settings.data_dir / "jobs", root=root) as app.state.jobs:
                yield
            await sweeping
    await decoders
    if app.state.tracer:
        app.state.tracer.shutdown()


def _calibration(settings: Settings) -> Calibration | None:
    return read_calibration(locate(settings.checkpoint))
