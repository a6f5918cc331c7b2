"""Settings in, the service or the ASGI app out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import torch
from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from app.api import encode, health, items, problems, search
from app.api.body_limit import BodyLimit
from app.engine.engine import Engine
from app.service import RetrievalService
from app.settings import Settings
from app.store.local import LocalStore
from model.encoder import Encoder


def open_engine(settings: Settings) -> Engine:
    """Load the checkpoint.

    Raises:
        CheckpointError: It is missing, damaged or does not fit.
    """
    # With more threads float32 sums change in the last bits with the load, and so may codes.
    torch.set_num_threads(1)
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Engine(Encoder.from_pretrained(settings.checkpoint, device=device), settings)


def open_service(settings: Settings, *, read_only: bool = False) -> RetrievalService:
    """Load the checkpoint and open the index.

    Args:
        settings: Which ones.
        read_only: Only search, beside another process that may write.

    Raises:
        CheckpointError: The checkpoint is missing, damaged or does not fit.
        IndexMismatch: The index was built with another checkpoint.
        StoreUnavailable: Another process writes to the data directory, or it cannot be opened.
    """
    engine = open_engine(settings)
    store = LocalStore(
        settings.data_dir,
        engine.encoder.vocabulary,
        fingerprint=engine.encoder.fingerprint,
        read_only=read_only,
    )
    return RetrievalService(engine, store)


def create_app(settings: Settings) -> FastAPI:
    """Return the app. It opens the service when it starts and closes it when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = app.state.service = open_service(settings)
        with service.store:
            yield

    app = FastAPI(
        title="SRCID",
        summary="Video, sound and text as one shared vocabulary of discrete codes, and search",
        version=version("srcid"),
        lifespan=lifespan,
    )
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes)
    problems.install(app)
    for part in (encode, search, items, health):
        app.include_router(part.router)

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("/docs")

    return app
