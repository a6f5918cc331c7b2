"""``srcid serve``: the HTTP service."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import CheckpointOption, DataDirOption, DeviceOption
from app.settings import load_settings
from app.telemetry import logs

if TYPE_CHECKING:  # imports torch, which would slow down `srcid --help`
    from app.service.async_service import AsyncRetrievalService


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 picks one.", show_default="8000")
    ] = None,
    data_dir: DataDirOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of server processes.", show_default="1")
    ] = None,
) -> None:
    """Start the HTTP service. Every setting is also a SRCID_* environment variable."""
    from app.server.process import announce, listen, run
    from app.server.workers import serve_together

    # Before settings are read, since a misspelt one is a line of the log.
    logs.configure("json" if os.environ.get("SRCID_LOG_FORMAT") == "json" else "text")
    settings = load_settings(
        host=host,
        port=port,
        data_dir=data_dir,
        checkpoint=checkpoint,
        device=device,
        workers=workers,
    )
    if settings.workers > 1:
        serve_together(settings)
        return
    # Bound before the checkpoint is loaded: a taken port is reported immediately.
    with listen(settings.host, settings.port) as listener:

        async def announce_address(service: "AsyncRetrievalService") -> None:
            announce(listener, await service.model())

        run(settings, listener, on_ready=announce_address)
