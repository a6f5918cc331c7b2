"""``srcid index --engine ray``: files are decoded and encoded on a Ray cluster, and kept from here.

The only file that knows ``ray``. Two stages of Ray Data stream into one another:

* ``_Decoders``, one a CPU, read files, pass over what has not changed, and decode and prepare the
  rest stretch by stretch, each in a limited process of its own (``DecodePool``);
* ``_Encoders``, one a GPU where there are any, hold the network.

The driver commits in groups. What it has committed is not decoded again by the next run: that is
all there is to resume. Every machine of the cluster needs srcid and the files under their paths.
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
from app.indexing.bulk import BulkIndex, ReadyFile, further_passages
from app.indexing.run import GROUP, Done, FileToIndex, Outcome, kept, refusal
from app.settings import Settings
from model.encoder import Encoder
from model.errors import ConfigError
from model.files import sha256

LEAST_CPUS = 6  # that Ray is told of: with two, Ray Data's own tasks waited for ever
COMMIT_SECONDS = 1.0  # that what is ready waits for more, at most
Batch = dict[str, Any]  # a column a name, of one row or several


class _Stretch(NamedTuple):
    """What the cluster tells of a file: one of its stretches, or that there is none."""

    number: int  # of the file
    digest: str = ""
    total: int = 1  # stretches of the file
    start: int = 0  # the second at which this one begins
    encoded: Encoded | None = None
    reason: str = ""  # why it is not encoded
    kind: Literal["encoded", "unchanged", "failed"] = "encoded"


def index_on_ray(
    bulk: BulkIndex, files: Iterable[FileToIndex], *, settings: Settings
) -> Generator[Outcome, None, None]:
    """Index files on the cluster of ``RAY_ADDRESS``, or on one of this machine's processors.

    Yields what became of each file, in their order; the same as ``index_files`` does.

    Args:
        bulk: Knows what is indexed already, and keeps the rest.
        files: Which ones.
        settings: What decodes and encodes there.

    Raises:
        ConfigError: ``ray`` is not installed.
    """
    listed = list(files)
    told: dict[int, Outcome] = {}
    rows, seen = [], set[str]()
    for number, file in enumerate(listed):
        if reason := refusal(file, is_repeated=file.item_id in seen):
            told[number] = Outcome(file, "failed", reason)
        else:
            known = bulk.digest(file.item_id) or ""
            rows.append({"number": number, "path": os.fsencode(file.path), "known": known})
        seen.add(file.item_id)
    places = count()
    place = next(places)
    for outcomes in _committed(bulk, listed, _stretches(rows, settings) if rows else iter(())):
        told |= outcomes
        while place in told:
            yield told.pop(place)
            place = next(places)


def _committed(
    bulk: BulkIndex, files: Sequence[FileToIndex], stretches: Iterator[_Stretch]
) -> Iterator[dict[int, Outcome]]:
    """Yield what became of files, by their number, as they are committed; at least once."""
    parts: dict[int, list[_Stretch]] = defaultdict(list)
    ready: dict[int, Done[ReadyFile]] = {}
    since = time.monotonic()
    for own in stretches:
        parts[own.number].append(own)
        if len(parts[own.number]) == own.total:
            ready[own.number] = _whole(bulk, files[own.number], parts.pop(own.number))
        if ready and (len(ready) >= GROUP or time.monotonic() - since > COMMIT_SECONDS):
            yield dict(zip(ready, kept(bulk, list(ready.values())), strict=True))
            ready, since = {}, time.monotonic()
    yield dict(zip(ready, kept(bulk, list(ready.values())), strict=True))


def _whole(bulk: BulkIndex, file: FileToIndex, parts: list[_Stretch]) -> Done[ReadyFile]:
    """Return a file whose stretches are all here, and what becomes of it once it is kept."""
    first, *others = sorted(parts, key=lambda own: own.start)
    if first.kind != "encoded":
        return Done(Outcome(file, first.kind, first.reason))
    assert first.encoded is not None
    further = [(own.start, own.encoded or InvalidMedia(own.reason)) for own in others]
    try:
        bulk.check(file)
        made = bulk.ready(file, first.encoded, further, digest=first.digest)
    except (ServiceError, OSError) as error:
        return Done(Outcome(file, "failed", str(error)))
    return Done(Outcome(file, "indexed", made.gaps, made.seconds), made)


def _stretches(rows: list[Batch], settings: Settings) -> Iterator[_Stretch]:
    """Yield what the cluster makes of files, in no order."""
    ray = _ray()
    with _cluster(ray):
        from ray.data import ActorPoolStrategy, DataContext, from_items

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        DataContext.get_current().enable_progress_bars = False  # the command has its own
        cpus, gpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("CPU", "GPU"))
        encoders = gpus or max(1, (cpus - 2) // 2)
        decoders = max(1, cpus - 2 - (0 if gpus else encoders))  # two are left to Ray Data itself
        pickled = pickle.dumps(settings)
        told = (
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
        for row in told.iter_rows():
            yield pickle.loads(row["told"])


class _Decoders:
    """One actor of the first stage: a file in, its stretches out, ready for the network."""

    def __init__(self, pickled: bytes) -> None:
        self._settings: Settings = pickle.loads(pickled)
        torch.set_num_threads(1)  # as everywhere: codes must not depend on their number
        encoder = Encoder.from_pretrained(self._settings.checkpoint, device="cpu")
        pool = make_decode_pool(encoder, self._settings.model_copy(update={"max_decodes": 1}))
        weakref.finalize(self, pool.close)
        self._piece = encoder.config.max_steps
        self._preprocessor = Preprocessor(pool, encoder, max_steps=self._settings.max_steps)

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        for number, path, known in zip(batch["number"], batch["path"], batch["known"], strict=True):
            for told, work in self._file(int(number), Path(os.fsdecode(path)), known):
                yield {"told": [pickle.dumps(told)], "work": [pickle.dumps(work)]}

    def _file(
        self, number: int, path: Path, known: str
    ) -> Iterator[tuple[_Stretch, NetworkInput | None]]:
        """Yield the stretches of a file, each with what the network takes of it."""
        told = _Stretch(number)
        try:
            told = told._replace(digest=sha256(path))
            if told.digest == known:
                yield told._replace(kind="unchanged"), None
                return
            (first,) = self._preprocessor.run([MediaRequest(path)])
        except (ServiceError, OSError) as error:
            yield told._replace(kind="failed", reason=str(error)), None
            return
        further = further_passages(
            path, first.duration_seconds, self._settings.max_steps, piece=self._piece
        )
        told = told._replace(total=1 + len(further))
        yield told, first
        for passage in further:
            own = told._replace(start=passage.start_second)
            try:
                (work,) = self._preprocessor.run([MediaRequest(passage)])
                yield own, work
            except InvalidMedia as error:
                yield own._replace(reason=str(error)), None


class _Encoders:
    """One actor of the second stage: the network, on a GPU or on a processor."""

    def __init__(self, pickled: bytes, on_gpu: bool) -> None:
        settings: Settings = pickle.loads(pickled)
        device = "cuda" if on_gpu else "cpu"
        self._network = Network(Encoder.from_pretrained(settings.checkpoint, device=device))

    def __call__(self, batch: Batch) -> Batch:
        stretches: list[_Stretch] = [pickle.loads(own) for own in batch["told"]]
        works: list[NetworkInput | None] = [pickle.loads(own) for own in batch["work"]]
        decoded = [work for work in works if work is not None]
        encoded = iter(self._network.run(decoded) if decoded else [])
        told = [
            own if work is None else own._replace(encoded=next(encoded))
            for own, work in zip(stretches, works, strict=True)
        ]
        return {"told": [pickle.dumps(own) for own in told]}


@contextmanager
def _cluster(ray: ModuleType) -> Iterator[None]:
    """Connect to the cluster of RAY_ADDRESS, or run one in this machine's processes."""
    address = os.environ.get("RAY_ADDRESS", "local")
    own: dict[str, Any] = {}
    if address == "local":
        own = {"num_cpus": max(LEAST_CPUS, os.cpu_count() or 1), "include_dashboard": False}
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    try:
        yield
    finally:
        ray.shutdown()


def _ray() -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent that nobody asked for
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            f"ray cannot be imported ({error}): install it with pip install 'srcid[ray]', or leave "
            "--engine out"
        ) from error
    return ray
