"""The items that match recent filters. Reading all metadata takes longer than the search.

What is stored under a key never changes, and keys are never reused. So cached matches stay valid,
only later items have to be read, and removed items are in no index.
"""

import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.schemas.filters import Where
from app.store.sqlite.views import View

FILTERS = 8  # in the cache, each with eight bytes per matching item


class _Matches(NamedTuple):
    history: int
    added: int  # the highest key that was read
    keys: NDArray[np.int64]


class FilterCache:
    """The last filters that were used. Any thread may call it."""

    def __init__(self) -> None:
        self._matches: OrderedDict[str, _Matches] = OrderedDict()  # the last used last
        self._lock = threading.Lock()

    def passing(self, view: View, where: Where) -> NDArray[np.int64]:
        """Return the increasing keys of the items that match ``where``, removed ones included."""
        name, now = where.model_dump_json(), view.position()
        with self._lock:
            matches = self._matches.get(name)
        if matches is None or matches.history != now.history or matches.added > now.added:
            matches = _Matches(now.history, 0, np.empty(0, np.int64))
        if matches.added < now.added:
            later = view.passing(where, since=matches.added)
            matches = _Matches(now.history, now.added, np.concatenate([matches.keys, later]))
        with self._lock:
            self._matches[name] = matches
            self._matches.move_to_end(name)
            if len(self._matches) > FILTERS:
                self._matches.popitem(last=False)
        return matches.keys
