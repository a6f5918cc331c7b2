"""Processes that write to an index and read it, for the tests of crashes and of company.

They come from a server of forks that has loaded everything once, so that each starts at once.
"""

import os
import random
import threading
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from app.schemas.search import SearchOptions
from app.store import local
from app.store.base import Item, Stream
from app.store.index import sync
from app.store.index.code_index import warm_up
from app.store.local import LocalStore
from model.encoder import Vocabulary
from model.modality import Modality

AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO
SIZE = 400
VOCABULARY = Vocabulary(
    np.random.default_rng(0).normal(size=(2, SIZE, 4)).astype(np.float32), np.array([1, 2])
)
QUERY = VOCABULARY.pooled(np.ones((2, 3), np.int16), (1, 2))[None]
FORKS = get_context("forkserver")
FORKS.set_forkserver_preload([__name__])
GROUP = 10  # items that are written together


def make_item(item_id: str, version: int) -> Item:
    """An item that says its version everywhere."""
    stream = Stream(np.full((2, 3), version % SIZE, np.int16), 3.0)
    return Item(item_id, {AUDIO: stream, VIDEO: stream}, {"version": version}, None, "")


def is_whole(item: Item) -> bool:
    """Tell whether everything in an item is of one version."""
    code = item.metadata["version"] % SIZE
    own = [stream.codes for stream in item.streams.values()]
    return len(own) == 2 and all((codes == code).all() for codes in own)


def open_store(folder: Path, *, read_only: bool = False) -> LocalStore:
    return LocalStore(folder, VOCABULARY, fingerprint="aa", read_only=read_only)


def write_until_killed(folder: Path, told: Connection, seed: int) -> None:
    """Change items in three threads, each its own, and tell of each change before and after."""
    sync.UNSAVED = 20  # so that snapshots are written all the time
    local.SYNC_AFTER = 10
    with open_store(folder) as store:
        threads = [
            threading.Thread(target=_write, args=(store, told.fileno(), name, 10 * seed + place))
            for place, name in enumerate("abc")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _write(store: LocalStore, pipe: int, name: str, seed: int) -> None:
    rng = random.Random(seed)
    for version in range(1 + 100_000 * seed, 100_000 * (seed + 1)):
        kind = rng.choice(["put", "put", "many", "delete"])
        what = f"{name}-group" if kind == "many" else f"{name}{rng.randrange(5)}"
        version = 0 if kind == "delete" else version
        os.write(pipe, f"begin {what} {version}\n".encode())
        if kind == "many":
            items = [make_item(f"{what}{n}", version) for n in range(GROUP)]
            store.add_many(items, replace=True)
        elif kind == "put":
            store.add(make_item(what, version), replace=True)
        else:
            store.delete(what)
        os.write(pipe, f"done {what} {version}\n".encode())


def watch(folder: Path, told: Connection, rounds: int) -> None:
    """Read until ``rounds`` are done; send what was wrong."""
    wrong: list[str] = []
    newest: dict[str, int] = {}
    with open_store(folder, read_only=True) as store:
        told.send("ready")
        for _ in range(rounds):
            items = store.page(after="", limit=100)
            hits = store.search(QUERY, SearchOptions(targets=[AUDIO, VIDEO], k=100), layers=(1, 2))
            found = {(hit.item.id, hit.modality) for hit in hits}
            wrong += [f"half of {own.id}" for own in items if not is_whole(own)]
            wrong += [f"half of {hit.item.id} found" for hit in hits if not is_whole(hit.item)]
            wrong += [f"{own.id} missed" for own in items if (own.id, AUDIO) not in found]
            if len(found) != len(hits) or len(found) % 2:
                wrong.append(f"{len(hits)} hits for {sorted(found)}")
            for own in [*items, *(hit.item for hit in hits)]:
                version = int(str(own.metadata["version"]))
                if version < newest.get(own.id, 0):
                    wrong.append(f"{own.id} went back")
                newest[own.id] = version
    told.send(wrong)


warm_up(VOCABULARY).join()  # once, for all forks
