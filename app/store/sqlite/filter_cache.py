"""The items that pass a filter, remembered: reading all metadata takes longer than the search.

What is under a key never changes, and a key is never used again. So what passed once passes
still, only later items are to be asked, and those that were removed are in no index.
"""

import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.schemas.filters import Where
from app.store.sqlite.views import View

REMEMBERED = 8  # filters: eight bytes for each item that passes


class _Known(NamedTuple):
    history: int
    added: int  # the highest key that was asked
    keys: NDArray[np.int64]


class Filtering:
    """The filters that were used last. Any thread may ask."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Known] = OrderedDict()  # the last used last
        self._lock = threading.Lock()

    def passing(self, view: View, where: Where) -> NDArray[np.int64]:
        """Return the keys, rising, of the items that pass ``where``; of removed ones too."""
        name, now = where.model_dump_json(), view.position()
        with self._lock:
            known = self._known.get(name)
        if known is None or known.history != now.history or known.added > now.added:
            known = _Known(now.history, 0, np.empty(0, np.int64))
        if known.added < now.added:
            later = view.passing(where, since=known.added)
            known = _Known(now.history, now.added, np.concatenate([known.keys, later]))
        with self._lock:
            self._known[name] = known
            self._known.move_to_end(name)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return known.keys
