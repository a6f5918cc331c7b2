"""What commands speak to: a server, or the index in a folder of this machine."""

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from app.cli.options import CheckpointOption, DataDirOption, DeviceOption
from app.settings import Settings, load_settings
from model.errors import ConfigError

if TYPE_CHECKING:  # `srcid --help` answers without them
    from app.cli.local_index import LocalIndex
    from app.client import SRCIDClient

    Index = LocalIndex | SRCIDClient  # with the same calls

URL, KEY = "SRCID_URL", "SRCID_API_KEY"
DEFAULT_URL = "http://127.0.0.1:8000"
OPTIONS: Mapping[str, object] = {
    "url": Annotated[
        str | None,
        typer.Option("--url", envvar=URL, help="Ask the server there, in place of a local index."),
    ],
    "key": Annotated[
        str | None,
        typer.Option("--key", envvar=KEY, help="API key for the server; better set there."),
    ],
    "data_dir": DataDirOption,
    "checkpoint": CheckpointOption,
    "device": DeviceOption,
}


class Target(NamedTuple):
    """Where the index is, as the options say."""

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
            writes: Whether it is to be changed: one process at a time can do that locally.

        Raises:
            ConfigError: Options of a server and of a local index were given.
        """
        if self.url is not None:
            with self.server() as client:
                yield client
            return
        from app.cli.local_index import LocalIndex
        from app.main import open_service

        service = open_service(self.settings(), read_only=not writes)
        with service.store, closing(service.engine):
            yield LocalIndex(service)

    def server(self) -> "SRCIDClient":
        """Return a client of the server; of the one on this machine where none is named.

        Raises:
            ConfigError: Options of a local index were given, or the address is none.
        """
        from app.client import SRCIDClient

        if local := [n for n in ("data_dir", "checkpoint", "device") if getattr(self, n)]:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in local)
            raise ConfigError(
                f"{names} is the server's own matter: leave it out, or leave out --url "
                f"({URL}={os.environ.get(URL, '')!r}) for a local index"
            )
        return SRCIDClient(self.url or DEFAULT_URL, key=self.key)


def on_target(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where the index is; it gets them as ``target``."""
    signature = inspect.signature(command)
    own = [each for name, each in signature.parameters.items() if name != "target"]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in OPTIONS.items()
    ]

    @wraps(command)
    def run(**given: object) -> None:
        target = Target(**{name: given.pop(name) for name in OPTIONS})  # type: ignore[arg-type]  # as parsed
        command(target=target, **given)

    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own] + shared
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # for inspect
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run
