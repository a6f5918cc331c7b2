"""An index of this process, opened as `srcid index` opens it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from app.engine.engine import Engine
from app.indexing.bulk import BulkIndex
from app.main import open_engine, open_items
from app.service.items import Items
from app.service.service import RetrievalService
from app.settings import Settings
from app.store.base import Store


class Opened(NamedTuple):
    """Its parts."""

    engine: Engine
    items: Items
    bulk: BulkIndex
    service: RetrievalService

    @property
    def store(self) -> Store:
        """What holds the codes."""
        return self.items.store


@contextmanager
def opened_index(settings: Settings) -> Iterator[Opened]:
    """Yield the index of ``settings``, its engine started."""
    engine = open_engine(settings)
    with closing(open_items(settings, engine)) as items, engine:
        yield Opened(engine, items, BulkIndex(engine, items), RetrievalService(engine, items))
