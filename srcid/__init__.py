"""SRCID in Python: ``Encoder`` encodes in this process, ``Client`` calls a server.

Importing it loads nothing else: each name is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.client import AsyncClient, Client, RetryPolicy, Unreachable
    from app.schemas.sources import ItemReference
    from model.encoder import Encoder

    __version__: str

__all__ = [
    "AsyncClient",
    "Client",
    "Encoder",
    "ItemReference",
    "RetryPolicy",
    "Unreachable",
    "__version__",
]
HOMES = {
    "Encoder": "model.encoder",
    "ItemReference": "app.schemas.sources",
    **dict.fromkeys(("AsyncClient", "Client", "RetryPolicy", "Unreachable"), "app.client"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("srcid")
    if name not in HOMES:
        raise AttributeError(f"module 'srcid' has no attribute {name!r}: use {', '.join(__all__)}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
