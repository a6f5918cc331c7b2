"""A process that writes all that the product acknowledges, and tells of each thing.

    python -m tests.power_cuts.written ROOT TOLD CHECKPOINT

It tells ``begin NAME VALUE`` before and ``done NAME VALUE`` once the product has acknowledged it.
The value is ``-`` where the thing is deleted. ``found`` asks the product what is there.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from app.auth.keys import KeyFile, Scope
from app.indexing.jobs import IndexJobs, _saved
from app.indexing.media_root import MediaRoot
from app.indexing.run import files_below, index_files
from app.schemas.jobs import IndexRequest
from app.schemas.search import SearchOptions
from app.service.media import MediaFolder
from app.settings import Settings
from app.store import local
from app.store.index import sync
from app.store.local import LocalStore
from app.store.sqlite import schema
from app.upkeep.backup import back_up, read_backup, restore
from model.checkpoint import fingerprint
from model.encoder import vocabulary_of
from model.files import TEMPORARY, sha256
from model.srcid import SRCID
from tests.app.indexing.opened import opened_index
from tests.app.store.processes import AUDIO, QUERY, VIDEO, is_whole, make_item, open_store
from tests.media_maker import make_sound, tone

GONE, THERE = "-", "there"
INDEX, SERVICE, RESTORED, BACKUPS = "index", "data/of/service", "restored", "backups/of/service"
RATE = 16_000
Values = dict[str, str]  # by name
OpenStore = Callable[[Path], LocalStore]


class Teller:
    """Tells of what is done, a line a write."""

    def __init__(self, file: Path) -> None:
        self.descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def __call__(self, action: Callable[[], object], values: Values) -> None:
        """Do something; ``values`` are what it changes."""
        self._say("begin", values)
        action()
        self._say("done", values)

    def _say(self, kind: str, values: Values) -> None:
        lines = "".join(f"{kind} {name} {value}\n" for name, value in values.items())
        os.write(self.descriptor, lines.encode())


def write_index(root: Path, tell: Teller) -> None:
    """Add, replace and delete items, a few at once too; snapshots, moves of the log, restarts."""
    version = 0

    def put(store: LocalStore, *names: str) -> None:
        nonlocal version
        version += 1
        items = [make_item(name, version) for name in names]
        values = {f"{INDEX}/{name}": str(version) for name in names}
        tell(lambda: store.add_many(items, replace=True), values)

    def delete(store: LocalStore, name: str) -> None:
        tell(lambda: store.delete(name), {f"{INDEX}/{name}": GONE})

    for start in range(3):
        with open_store(root / INDEX) as store:
            for name in "abcd":
                put(store, name)
            put(store, *(f"group{number}" for number in range(10)))
            delete(store, "b")
            put(store, f"own{start}")
            if start == 1:
                store.compact()
            put(store, "c")


def write_keys(root: Path, tell: Teller) -> None:
    """Add and revoke keys, the first in a folder that is not there yet."""
    keys = KeyFile(root / SERVICE)
    for name in ("one", "two"):
        tell(lambda name=name: keys.add(name, Scope.READ), {f"key/{name}": THERE})
    tell(lambda: keys.revoke("one"), {"key/one": GONE})


def write_service(root: Path, tell: Teller, checkpoint: Path) -> None:
    """Add media and sentences with their media kept, index a folder, run a job."""
    media = root.parent / "media"
    sounds = {f"{n}.wav": make_sound(tone(0.5, RATE, 200 + 90 * n), RATE) for n in range(6)}
    for name, content in sounds.items():
        folder = media / ("bulk" if name < "3" else "job")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    settings = Settings(
        checkpoint=str(checkpoint),
        data_dir=root / SERVICE,
        device="cpu",
        keep_media=True,
        max_decodes=1,
    )

    def values(*names: str, below: str = "") -> Values:
        return {f"item/{below}{name}": sha256(sounds[name]) for name in names}

    with opened_index(settings) as opened:
        service = opened.service
        tell(lambda: service.add("said", "a dog"), {"item/said": sha256("a dog")})
        own = {"item/heard": sha256(sounds["0.wav"])}
        tell(lambda: service.add("heard", sounds["0.wav"]), own)
        own = {"item/heard": sha256(sounds["1.wav"])}
        tell(lambda: service.put("heard", sounds["1.wav"]), own)
        tell(lambda: service.delete("said"), {"item/said": GONE})
        tell(
            lambda: _all(
                index_files(
                    opened.bulk, files_below(media / "bulk"), workers=1, stop=threading.Event()
                )
            ),
            values("0.wav", "1.wav", "2.wav"),
        )
        tell(lambda: service.delete("1.wav"), {"item/1.wav": GONE})
        root_of_jobs = MediaRoot(media)
        jobs = IndexJobs(opened.bulk, root / SERVICE / "jobs", root=root_of_jobs)
        job = jobs.submit(IndexRequest(folder="job"))
        tell(lambda: None, {f"job/{job.id}": THERE})
        tell(lambda: _finish(jobs, job.id), values("3.wav", "4.wav", "5.wav", below="job/"))


def _all(outcomes: Iterable[Any]) -> None:
    assert {outcome.kind for outcome in outcomes} == {"indexed"}


def _finish(jobs: IndexJobs, job_id: str) -> None:
    with jobs:
        while not jobs.get(job_id).state.is_final:
            threading.Event().wait(0.02)


def write_backups(root: Path, tell: Teller, open_own: OpenStore) -> None:
    """Back up, restore into a new folder, and later in place of what is there."""
    for name in "ab":
        kept = _items(root / SERVICE, open_own)
        to = root / BACKUPS / name
        tell(lambda to=to: back_up(root / SERVICE, to), {f"backup/{name}": THERE})
        values = {f"restored/{item}": value for item, value in kept.items()}
        if name == "b":
            values["restored/0.wav"] = GONE
        tell(lambda to=to: restore(to, root / RESTORED, replace=True), values)
        with open_own(root / SERVICE) as store:
            tell(lambda: store.delete("0.wav"), {"item/0.wav": GONE})


def write_checkpoints(root: Path, tell: Teller, checkpoint: Path) -> None:
    """Write a checkpoint and the state of a run, each later in place of what is there."""
    model = SRCID.from_pretrained(checkpoint)
    folder = root / "runs" / "one" / "checkpoint"
    for _ in range(2):
        next(model.parameters()).data += 1
        tell(lambda: model.save_pretrained(folder), {"checkpoint": _value(model)})


def _value(model: SRCID) -> str:
    """Return a number that stands for the weights."""
    return f"{float(next(model.parameters()).double().sum()):.6f}"


def store_opener(checkpoint: Path) -> OpenStore:
    """Return what opens a folder of items that ``checkpoint`` encoded."""
    vocabulary, own = vocabulary_of(SRCID.from_pretrained(checkpoint)), fingerprint(checkpoint)
    return lambda folder: LocalStore(folder, vocabulary, fingerprint=own)


def found(root: Path, open_own: OpenStore) -> Values:
    """Open all that is there with the product; return it, checked for being whole."""
    values = {}
    if (root / INDEX).exists():
        with open_store(root / INDEX) as store:
            items = list(store.page(after="", limit=1000))
            hits = store.search(QUERY, SearchOptions(targets=[AUDIO, VIDEO], k=1000), layers=(1, 2))
        assert all(map(is_whole, items))
        assert len(hits) == 2 * len(items), "not all that is stored is found"
        values |= {f"{INDEX}/{item.id}": str(item.metadata["version"]) for item in items}
    for name, folder in (("item", SERVICE), ("restored", RESTORED)):
        items_of = _items(root / folder, open_own)
        values |= {f"{name}/{item}": value for item, value in items_of.items()}
    values |= {f"key/{key.name}": THERE for key in KeyFile(root / SERVICE).all()}
    values |= {f"job/{job.id}": THERE for job in _saved(root / SERVICE / "jobs")}
    for backup in sorted((root / BACKUPS).glob("[!.]*")):
        read_backup(backup)
        _items(backup, open_own)
        values[f"backup/{backup.name}"] = THERE
    run = root / "runs" / "one"
    # While a folder is replaced, the former one lies aside for a moment (atomic_folder).
    for checkpoint in (run / "checkpoint", *run.glob(f"{TEMPORARY}*/old")):
        if checkpoint.exists():
            values["checkpoint"] = _value(SRCID.from_pretrained(checkpoint))
            break
    return values


def _items(folder: Path, open_own: OpenStore) -> Values:
    """Return the digest of each item's source, having seen that its media are kept."""
    if not (folder / "items.sqlite3").exists():
        return {}
    with open_own(folder) as store:
        items = list(store.page(after="", limit=1000))
    media = MediaFolder(folder / "media")
    for item in items:
        if item.text is None:
            kept = media.media(item.id, item.sha256)
            assert kept is not None, f"the media of {item.id} are lost"
            assert sha256(kept) == item.sha256, f"the media of {item.id} are damaged"
    return {item.id: item.sha256 for item in items}


def main(root: Path, told: Path, checkpoint: Path) -> None:
    """Write all of it."""
    # Small, so that snapshots are written and the log moves all the time.
    sync.UNSAVED, local.SYNC_AFTER = 10, 5
    schema.LOG_PAGES, schema.LOG_BYTES = 32, 32 * (4096 + 24)
    tell = Teller(told)
    write_index(root, tell)
    write_keys(root, tell)
    write_service(root, tell, checkpoint)
    write_backups(root, tell, store_opener(checkpoint))
    write_checkpoints(root, tell, checkpoint)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
