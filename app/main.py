"""Settings in, the service or the ASGI app out."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

import torch
from fastapi import FastAPI

from app.api import problems
from app.api.middleware import stack
from app.api.problems import may_answer
from app.api.routes import (
    codes,
    embeddings,
    encode,
    health,
    items,
    jobs,
    live,
    metrics,
    model,
    page,
    search,
)
from app.engine.allocator import keep_freed_memory
from app.engine.engine import Engine
from app.engine.observer import EngineObserver
from app.errors import Forbidden, RateLimited, Unauthorized
from app.indexing.jobs import IndexJobs
from app.indexing.media_root import MediaRoot
from app.service.media_folder import MediaFolder
from app.service.service import RetrievalService
from app.settings import Settings
from app.store.base import Store
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import trace
from model.calibration import read_calibration
from model.checkpoint import locate
from model.device import usable_device
from model.encoder import Encoder

SWITCH_SECONDS = 0.0005


def open_engine(settings: Settings, *, observer: EngineObserver | None = None) -> Engine:
    """Load the checkpoint.

    Args:
        settings: Which one, and where it runs.
        observer: Told how the engine works.

    Raises:
        CheckpointError: It is missing, damaged or does not fit.
        ConfigError: The device is not there.
    """
    # With more threads float32 sums change in the last bits with the load, and so may codes.
    torch.set_num_threads(1)
    # A thread that comes back from an operation waits for Python's lock as long as another runs
    # Python: up to 5 ms unless told otherwise, where a whole sentence takes 12.
    sys.setswitchinterval(SWITCH_SECONDS)
    keep_freed_memory()
    encoder = Encoder.from_pretrained(settings.checkpoint, device=usable_device(settings.device))
    return Engine(encoder, settings, observer=observer)


def open_service(
    settings: Settings, *, read_only: bool = False, observer: EngineObserver | None = None
) -> RetrievalService:
    """Load the checkpoint and open the index.

    Args:
        settings: Which ones.
        observer: Told how the engine works.
        read_only: Only search, beside another process that may write.

    Raises:
        CheckpointError: The checkpoint is missing, damaged or does not fit.
        ConfigError: The device is not there.
        IndexMismatch: The index was built with another checkpoint.
        StoreUnavailable: Another process writes to the data directory, or the index cannot be
            opened.
    """
    engine = open_engine(settings, observer=observer)
    return RetrievalService(
        engine,
        open_store(settings, engine.encoder, read_only=read_only),
        media=MediaFolder(settings.data_dir / "media"),
        calibration=read_calibration(locate(settings.checkpoint)),
    )


def open_store(settings: Settings, encoder: Encoder, *, read_only: bool = False) -> Store:
    """Open the index: in Milvus where its address is set, else in the data directory.

    Args:
        settings: Which one.
        encoder: The checkpoint whose codes it holds.
        read_only: Only search, beside another process that may write.

    Raises:
        ConfigError: Milvus is wanted and ``pymilvus`` is not installed.
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
            device=str(encoder.device),
        )
    from app.store.milvus.collection import Address
    from app.store.milvus.store import MilvusStore

    token = settings.store_token.get_secret_value() if settings.store_token else None
    address = Address(settings.store_url, settings.store_collection, token)
    return MilvusStore(
        address, encoder.vocabulary, fingerprint=encoder.fingerprint, read_only=read_only
    )


def open_jobs(service: RetrievalService, settings: Settings) -> IndexJobs:
    """Return the jobs of a service, to be entered."""
    return IndexJobs(
        service,
        settings.data_dir / "jobs",
        root=MediaRoot(settings.media_root) if settings.media_root else None,
    )


def create_app(settings: Settings, *, writer_url: str | None = None) -> FastAPI:
    """Return the app. It opens the service when it starts and closes it when it stops.

    Args:
        settings: Of the service.
        writer_url: Where another process serves the same data directory and writes to it. This
            one then only reads, and passes on what would change something.

    Raises:
        ConfigError: The address is public, but there is no API key; or tracing is wanted and its
            packages are missing.
    """
    app = FastAPI(
        title="SRCID",
        summary="Video, sound and text as one shared vocabulary of discrete codes, and search",
        version=version("srcid"),
        lifespan=partial(_serving, settings=settings, is_writer=writer_url is None),
        # FastAPI's own, which looks for an exporter at each request: ours is `trace`.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.live = live.LiveTurns(settings.max_live)
    app.state.metrics = Metrics()
    stack.install(app, settings, metrics=app.state.metrics, writer_url=writer_url)
    app.state.tracer = trace(app) if settings.tracing else None
    problems.install(app)
    # Looked through in this order: what is asked most comes first.
    for part in (encode, search, items, codes, jobs, embeddings, live, model, metrics):
        app.include_router(part.router, responses=may_answer(Unauthorized, Forbidden, RateLimited))
    app.include_router(health.router)
    page.install(app)
    return app


@asynccontextmanager
async def _serving(app: FastAPI, *, settings: Settings, is_writer: bool) -> AsyncIterator[None]:
    """Open the service while the app runs; who writes also sweeps up and works off jobs."""
    measured: Metrics = app.state.metrics
    # In a thread: the loop answers meanwhile that the process is alive.
    service = await asyncio.to_thread(
        open_service, settings, observer=measured, read_only=not is_writer
    )
    app.state.service = service
    measured.describe(version=app.version, fingerprint=service.engine.encoder.fingerprint)
    measured.items.set_function(lambda: len(service.store))
    measured.queue_length.set_function(lambda: service.engine.num_waiting)
    with service.store, service.engine:
        if not is_writer:
            yield
        else:
            sweeping = asyncio.create_task(asyncio.to_thread(service.items.sweep))
            with open_jobs(service, settings) as app.state.jobs:
                yield
            await sweeping
    if app.state.tracer:
        app.state.tracer.shutdown()
