"""``srcid index --engine ray``: files are decoded and encoded on a Ray cluster, committed here.

The only file that imports ``ray``. Two stages of Ray Data stream into one another:

* ``_Decoders``, one per CPU, read files, skip unchanged ones, and decode and preprocess the rest
  stretch by stretch, each in a sandboxed process of its own (``DecodePool``);
* ``_Encoders``, one per GPU if there are any, run the network.

The driver commits in groups. A later run skips what is committed; there is no other state to
resume. Every machine of the cluster needs srcid, and the files under the same paths.
"""

import logging
import os
import pickle
import time
import weakref
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import torch

from app.engine.stages import (
    Encoded,
    MediaRequest,
    Network,
    NetworkInput,
    Preprocessor,
    make_decode_pool,
)
from app.errors import InvalidMedia, ServiceError
from app.indexing.bulk import BulkIndex, FileItems, further_passages
from app.indexing.run import (
    MAX_COMMIT,
    FileToIndex,
    Outcome,
    Processed,
    commit,
    placed,
    refusal,
)
from app.settings import Settings
from model.encoder import Encoder
from model.errors import ConfigError
from model.files import sha256

MIN_CPUS = 6  # announced to Ray: with two, Ray Data's own tasks waited for ever
COMMIT_SECONDS = 1.0  # the longest that finished files wait for more
Batch = dict[str, Any]  # columns by name


class _Stretch(NamedTuple):
    """One stretch of a file as the cluster returns it, or why the file has none."""

    number: int  # of the file
    digest: str = ""
    total: int = 1  # stretches of the file
    start: int = 0  # the second at which this one starts
    encoded: Encoded | None = None
    reason: str = ""  # why it is not encoded
    kind: Literal["encoded", "unchanged", "failed"] = "encoded"


def index_on_ray(
    bulk: BulkIndex, files: Iterable[FileToIndex], *, settings: Settings
) -> Generator[Outcome, None, None]:
    """Index files on the cluster of ``RAY_ADDRESS``, or on one made of this machine's processors.

    Yields what became of each file, in their order, as ``index_files`` does.

    Args:
        bulk: Where files are indexed.
        files: The files.
        settings: Of the decoders and the network on the cluster.

    Raises:
        ConfigError: ``ray`` is not installed.
    """
    listed = list(files)
    waiting: dict[int, Outcome] = {}  # by number, until all files before have been yielded
    rows, seen = [], set[str]()
    for number, file in enumerate(listed):
        if reason := refusal(file, is_repeated=file.item_id in seen):
            waiting[number] = Outcome(file, "failed", reason)
        else:
            listed[number], indexed = placed(bulk, file)
            path = os.fsencode(file.path)
            rows.append({"number": number, "path": path, "indexed": indexed or ""})
        seen.add(file.item_id)
    numbers = count()
    number = next(numbers)
    for outcomes in _committed(bulk, listed, _stretches(rows, settings) if rows else iter(())):
        waiting |= outcomes
        while number in waiting:
            yield waiting.pop(number)
            number = next(numbers)


def _committed(
    bulk: BulkIndex, files: Sequence[FileToIndex], stretches: Iterator[_Stretch]
) -> Iterator[dict[int, Outcome]]:
    """Yield what became of files, by their number, as they are committed; at least once."""
    incomplete: dict[int, list[_Stretch]] = defaultdict(list)
    complete: dict[int, Processed[FileItems]] = {}
    since = time.monotonic()
    for stretch in stretches:
        number = stretch.number
        incomplete[number].append(stretch)
        if len(incomplete[number]) == stretch.total:
            complete[number] = _whole(bulk, files[number], incomplete.pop(number))
        is_due = len(complete) >= MAX_COMMIT or time.monotonic() - since > COMMIT_SECONDS
        if complete and is_due:
            yield dict(zip(complete, commit(bulk, list(complete.values())), strict=True))
            complete, since = {}, time.monotonic()
    yield dict(zip(complete, commit(bulk, list(complete.values())), strict=True))


def _whole(bulk: BulkIndex, file: FileToIndex, stretches: list[_Stretch]) -> Processed[FileItems]:
    """Return a file from all of its stretches."""
    first, *others = sorted(stretches, key=lambda stretch: stretch.start)
    if first.kind != "encoded":
        return Processed(Outcome(file, first.kind, first.reason))
    assert first.encoded is not None
    further = [(s.start, s.encoded or InvalidMedia(s.reason)) for s in others]
    try:
        bulk.check(file)
        prepared = bulk.prepared(file, first.encoded, further, digest=first.digest)
    except (ServiceError, OSError) as error:
        return Processed(Outcome(file, "failed", str(error)))
    return Processed(Outcome(file, "indexed", prepared.gaps, prepared.seconds), prepared)


def _stretches(rows: list[Batch], settings: Settings) -> Iterator[_Stretch]:
    """Yield the stretches that the cluster returns, in no order."""
    ray = _ray()
    with _cluster(ray):
        from ray.data import ActorPoolStrategy, DataContext, from_items

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        DataContext.get_current().enable_progress_bars = False  # the command shows its own
        cpus, gpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("CPU", "GPU"))
        encoders = gpus or max(1, (cpus - 2) // 2)
        decoders = max(1, cpus - 2 - (0 if gpus else encoders))  # two are left for Ray Data itself
        pickled = pickle.dumps(settings)
        stretches = (
            from_items(rows, override_num_blocks=max(1, min(len(rows), 8 * decoders)))
            .map_batches(
                _Decoders,
                fn_constructor_args=(pickled,),
                compute=ActorPoolStrategy(size=decoders),
                batch_size=1,
            )
            .map_batches(
                _Encoders,
                fn_constructor_args=(pickled, bool(gpus)),
                compute=ActorPoolStrategy(size=encoders),
                num_gpus=1 if gpus else 0,
                batch_size=settings.max_batch if gpus else 1,
            )
        )
        for row in stretches.iter_rows():
            yield pickle.loads(row["stretch"])


class _Decoders:
    """One actor of the first stage: a file in, its preprocessed stretches out."""

    def __init__(self, pickled: bytes) -> None:
        self._settings: Settings = pickle.loads(pickled)
        torch.set_num_threads(1)  # as everywhere: codes must not depend on it
        encoder = Encoder.from_pretrained(self._settings.checkpoint, download=False)
        pool = make_decode_pool(encoder, self._settings.model_copy(update={"max_decodes": 1}))
        weakref.finalize(self, pool.close)
        self._piece = encoder.config.max_steps
        self._preprocessor = Preprocessor(pool, encoder, max_steps=self._settings.max_steps)

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        columns = (batch[name] for name in ("number", "path", "indexed"))
        for number, path, indexed in zip(*columns, strict=True):
            for stretch, work in self._file(int(number), Path(os.fsdecode(path)), indexed):
                yield {"stretch": [pickle.dumps(stretch)], "work": [pickle.dumps(work)]}

    def _file(
        self, number: int, path: Path, indexed: str
    ) -> Iterator[tuple[_Stretch, NetworkInput | None]]:
        """Yield the stretches of a file, each with the network's input."""
        stretch = _Stretch(number)
        try:
            stretch = stretch._replace(digest=sha256(path))
            if stretch.digest == indexed:
                yield stretch._replace(kind="unchanged"), None
                return
            (first,) = self._preprocessor.run([MediaRequest(path)])
        except (ServiceError, OSError) as error:
            yield stretch._replace(kind="failed", reason=str(error)), None
            return
        further = further_passages(
            path, first.duration_seconds, self._settings.max_steps, piece=self._piece
        )
        stretch = stretch._replace(total=1 + len(further))
        yield stretch, first
        for passage in further:
            stretch = stretch._replace(start=passage.start_second)
            try:
                (work,) = self._preprocessor.run([MediaRequest(passage)])
                yield stretch, work
            except InvalidMedia as error:
                yield stretch._replace(reason=str(error)), None


class _Encoders:
    """One actor of the second stage: the network, on a GPU or a CPU."""

    def __init__(self, pickled: bytes, on_gpu: bool) -> None:
        settings: Settings = pickle.loads(pickled)
        device = "cuda" if on_gpu else "cpu"
        self._network = Network(
            Encoder.from_pretrained(settings.checkpoint, device=device, download=False)
        )

    def __call__(self, batch: Batch) -> Batch:
        stretches: list[_Stretch] = [pickle.loads(data) for data in batch["stretch"]]
        works: list[NetworkInput | None] = [pickle.loads(data) for data in batch["work"]]
        decoded = [work for work in works if work is not None]
        encoded = iter(self._network.run(decoded) if decoded else [])
        complete = [
            stretch if work is None else stretch._replace(encoded=next(encoded))
            for stretch, work in zip(stretches, works, strict=True)
        ]
        return {"stretch": [pickle.dumps(stretch) for stretch in complete]}


@contextmanager
def _cluster(ray: ModuleType) -> Iterator[None]:
    """Connect to the cluster of RAY_ADDRESS, or run one on this machine."""
    address = os.environ.get("RAY_ADDRESS", "local")
    options: dict[str, Any] = {}
    if address == "local":
        options = {"num_cpus": max(MIN_CPUS, os.cpu_count() or 1), "include_dashboard": False}
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    try:
        yield
    finally:
        ray.shutdown()


def _ray() -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry unless asked for
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            f"ray cannot be imported ({error}): install it with pip install 'srcid[ray]', or leave "
            "--engine out"
        ) from error
    return ray
