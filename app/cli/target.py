"""What commands work on: a server, or the index in a folder of this machine."""

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from app.cli.options import CheckpointOption, DataDirOption, DeviceOption
from app.settings import Settings, load_settings
from model.errors import ConfigError

if TYPE_CHECKING:  # `srcid --help` answers without them
    from app.client import Client
    from app.service.service import RetrievalService

    Index = RetrievalService | Client  # with the same calls

URL, KEY = "SRCID_URL", "SRCID_API_KEY"
DEFAULT_URL = "http://127.0.0.1:8000"
OPTIONS: Mapping[str, object] = {
    "url": Annotated[
        str | None,
        typer.Option("--url", envvar=URL, help="Server URL (default: local index)."),
    ],
    "key": Annotated[
        str | None,
        typer.Option("--key", envvar=KEY, help="API key of the server; better set there."),
    ],
    "data_dir": DataDirOption,
    "checkpoint": CheckpointOption,
    "device": DeviceOption,
}


class Target(NamedTuple):
    """Where the index is, from the command's options."""

    url: str | None
    key: str | None
    data_dir: Path | None
    checkpoint: str | None
    device: str | None

    def settings(self) -> Settings:
        """Return the settings of the local index."""
        return load_settings(data_dir=self.data_dir, checkpoint=self.checkpoint, device=self.device)

    @contextmanager
    def open(self, *, writes: bool = False) -> "Iterator[Index]":
        """Yield the index.

        Args:
            writes: Whether the command changes it; of a local index, one process at a time can.

        Raises:
            ConfigError: Options of a server and of a local index were given.
        """
        if self.url is not None:
            with self.server() as client:
                yield client
            return
        from app.main import open_service

        with open_service(self.settings(), read_only=not writes) as service:
            yield service

    def server(self) -> "Client":
        """Return a client of the server; by default of the one on this machine.

        Raises:
            ConfigError: Options of a local index were given, or the URL is invalid.
        """
        from app.client import Client

        if local := [n for n in ("data_dir", "checkpoint", "device") if getattr(self, n)]:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in local)
            raise ConfigError(
                f"{names} cannot be set for a server: leave it out, or leave out --url "
                f"({URL}={os.environ.get(URL, '')!r}) to use a local index"
            )
        return Client(self.url or DEFAULT_URL, key=self.key)


def local_settings(*, data_dir: Path | None, **options: str | None) -> Settings:
    """Return the settings of a command that works on a folder of this machine only.

    Raises:
        ConfigError: ``SRCID_URL`` names a server and no folder is named, so the wrong index could
            be meant.
    """
    if data_dir is None and (url := os.environ.get(URL)):
        raise ConfigError(
            f"this command works on a folder of this machine, but {URL} is {url!r}: run it on the "
            f"server's machine without {URL}, or name a folder here (--data-dir)"
        )
    return load_settings(data_dir=data_dir, **options)


def on_target(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where the index is; the command gets them as ``target``."""
    signature = inspect.signature(command)
    parameters = [each for name, each in signature.parameters.items() if name != "target"]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in OPTIONS.items()
    ]

    @wraps(command)
    def run(**options: object) -> None:
        target = Target(**{name: options.pop(name) for name in OPTIONS})  # type: ignore[arg-type]  # as parsed
        command(target=target, **options)

    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters] + shared
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # for inspect
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run
