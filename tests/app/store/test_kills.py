"""Kill -9 at any moment loses no acknowledged item, and the index opens (R1)."""

import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.schemas.search import SearchOptions
from tests.app.store.processes import (
    AUDIO,
    FORKS,
    GROUP,
    QUERY,
    VIDEO,
    is_whole,
    open_store,
    write_until_killed,
)

Versions = dict[str, int]  # of an id or a group; 0: deleted


def test_items_survive_kills(tmp_path: Path) -> None:
    kill_often(tmp_path, times=20)


@pytest.mark.slow
def test_items_survive_200_kills(tmp_path: Path) -> None:
    kill_often(tmp_path, times=200)


def kill_often(folder: Path, *, times: int) -> None:
    rng = random.Random(0)
    kept: Versions = {}
    for number in range(times):
        acknowledged, under_way = written_until_killed(folder, number, rng)
        kept = kept | acknowledged
        kept |= check(folder, kept, under_way)
        if number % 5 == 0:
            with closing(sqlite3.connect(folder / "items.sqlite3")) as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def written_until_killed(
    folder: Path, number: int, rng: random.Random
) -> tuple[Versions, Versions]:
    """Return what a process wrote before it was killed, and what it had begun to write."""
    ours, its = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=write_until_killed, args=(folder, its, number))
    process.start()
    its.close()
    text = b""
    wanted = rng.randrange(1, 120)
    while text.count(b"\n") < wanted and (more := os.read(ours.fileno(), 4096)):
        text += more
    moment = time.perf_counter() + rng.uniform(0, 0.004)
    while time.perf_counter() < moment:
        pass
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    while more := os.read(ours.fileno(), 4096):
        text += more
    process.join()
    ours.close()
    assert process.exitcode == -signal.SIGKILL
    acknowledged: Versions = {}
    under_way: Versions = {}
    for line in text.decode().splitlines():
        kind, what, version = line.split()
        if kind == "begin":
            under_way[what] = int(version)
        else:
            assert under_way.pop(what) == int(version)
            acknowledged[what] = int(version)
    return acknowledged, under_way


def check(folder: Path, kept: Versions, under_way: Versions) -> Versions:
    """See that all that is kept is there; return what became of what was under way."""
    with open_store(folder) as store:
        items = {item.id: item for item in store.page(after="", limit=1000)}
        hits = store.search(QUERY, SearchOptions(targets=[AUDIO, VIDEO], k=1000), layers=(1, 2))
    assert all(map(is_whole, items.values()))
    assert {(hit.item.id, hit.modality) for hit in hits} == {
        (item_id, m) for item_id in items for m in (AUDIO, VIDEO)
    }
    assert len(hits) == 2 * len(items)
    versions = {item_id: item.metadata["version"] for item_id, item in items.items()}
    became = {}
    for what in kept | under_way:
        ids = [f"{what}{n}" for n in range(GROUP)] if what.endswith("group") else [what]
        (version,) = {versions.pop(item_id, 0) for item_id in ids}  # a group changes together
        assert version in {kept.get(what, 0), under_way.get(what, kept.get(what, 0))}
        became[what] = version
    assert not versions
    return became
