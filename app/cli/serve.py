"""``srcid serve``: the HTTP service."""

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from app import logs
from app.cli.options import CheckpointOption, DataDirOption, DeviceOption
from app.settings import Settings, load_settings
from model.errors import ConfigError

if TYPE_CHECKING:  # loads torch, which `srcid --help` should not
    from app.service import RetrievalService


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
        int | None, typer.Option(help="Processes that answer.", show_default="1")
    ] = None,
) -> None:
    """Start the HTTP service. Every setting is also a SRCID_* environment variable."""
    settings = load_settings(
        host=host,
        port=port,
        data_dir=data_dir,
        checkpoint=checkpoint,
        device=device,
        workers=workers,
    )
    if settings.workers > 1:
        from app.cli.workers import serve_together

        serve_together(settings)
        return
    # Bound before the checkpoint is loaded: a port that is taken shows at once.
    with listen(settings.host, settings.port) as listener:

        async def announce_it(service: "RetrievalService") -> None:
            announce(listener)

        run(settings, listener, then=announce_it)


def announce(listener: socket.socket) -> None:
    """Print where the service is."""
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    print(f"srcid: running on {address}, its calls at {address}/docs", flush=True)


def run(
    settings: Settings,
    *listeners: socket.socket,
    then: Callable[["RetrievalService"], Awaitable[None]],
    writer_url: str | None = None,
    is_alone: bool = True,
    log_level: str = "info",
) -> None:
    """Serve until SIGTERM or SIGINT; the latter ends in ``KeyboardInterrupt``.

    Where it is alone, it answers at once: ``/livez`` says that the process is there while the
    checkpoint is loaded, which takes seconds, and everything else says ``Starting``.

    Args:
        settings: Which ones.
        listeners: Where requests come in; bound, if only that.
        then: Awaited with the opened service when requests are served.
        writer_url: Where changes are passed on to (``create_app``).
        is_alone: Whether nobody else answers on the port. Else this process takes no connection
            from those that can answer it until it can itself.
        log_level: "warning" leaves out a line for each request.
    """
    from app.cli.serving import Serving

    logs.configure(settings.log_format, level=log_level)
    serving = Serving(settings, writer_url=writer_url, is_alone=is_alone)
    # Once drained, uvicorn raises the signal again: being told to stop is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with asyncio.Runner(loop_factory=serving.config.get_loop_factory()) as runner:
        runner.run(serving.answer([*listeners], then=then))


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ConfigError: The port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # at once: until then another process may bind the same port
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another port (SRCID_PORT, "
            "--port; 0 picks a free one) or address (SRCID_HOST, --host)"
        ) from error
    return listener
