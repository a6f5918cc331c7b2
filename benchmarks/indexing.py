"""Indexing a corpus: how busy the network is, against a plain loop; an hour of video; growth.

    OMP_NUM_THREADS=1 python -m benchmarks.indexing --out benchmarks/results/...

The plain loop decodes, encodes and commits file after file with the same encoder and store: what
one would write first. It and ``srcid index`` take turns on the same files.
"""

import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer

from app.engine.engine import Engine
from app.indexing.bulk import BulkIndex
from app.indexing.run import FileToIndex, files_below, index_files
from app.main import open_engine, open_items, open_store
from app.service.items import Items, PreparedItem
from app.settings import Settings
from app.store.base import Item, Stream
from app.telemetry.engine_observer import EngineObserver, Part
from benchmarks.goals import Goal
from benchmarks.media import hour_of_video, moving_clip
from benchmarks.processes import proportional_bytes
from model.encoder import Encoder
from model.files import sha256
from model.media import DecodeConfig, read_clip
from model.modality import Modality

MEGABYTE = 2**20
CLIP_SECONDS = 10
DIFFERENT = 8  # clips; the others are copies with another ending, so that no two are equal
GROUP = 64  # items of a commit whose time is measured
STEPS = 10


class Plan(NamedTuple):
    """How much is measured."""

    files: int  # of each round
    rounds: int
    film_seconds: int
    sizes: tuple[int, ...]  # of the index when commits are measured


QUICK = Plan(24, 1, 300, (0, 2_000))
FULL = Plan(40, 3, 3600, (0, 10_000, 200_000))


def main(
    quick: Annotated[bool, typer.Option(help="Smaller: about a minute.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the report here.")] = None,
) -> None:
    """Measure, and print the report."""
    torch.set_num_threads(1)
    plan = QUICK if quick else FULL
    lines = []
    for part in report(plan):
        print("\n".join(part), flush=True)
        lines += part
    if out:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def report(plan: Plan) -> Iterator[list[str]]:
    """Yield the parts of the report as they are measured."""
    yield [
        "# Indexing on the CPU",
        "",
        f"`python -m benchmarks.indexing {' '.join(sys.argv[1:])}`: torch {torch.__version__}, "
        f"{platform.machine()}, {os.cpu_count()} processors.",
    ]
    with TemporaryDirectory() as folder:
        yield throughput(plan, Path(folder))
        yield film(plan, Path(folder))
        yield growth(plan, Path(folder))


class Busy(EngineObserver):
    """Records when the network was busy."""

    def __init__(self) -> None:
        self.spans: list[tuple[float, float]] = []  # start and end of each batch

    def ran(self, part: Part, *, items: int, seconds: float) -> None:
        """Record a batch of the network that has just ended."""
        now = time.monotonic()
        if part == "device":
            self.spans.append((now - seconds, now))

    def seconds(self, start: float, end: float) -> tuple[float, float]:
        """Return how long at least one thread was at work, and all together."""
        own = sorted((max(a, start), min(b, end)) for a, b in self.spans if a < end and b > start)
        union, until = 0.0, start
        for a, b in own:
            union += max(0.0, b - max(a, until))
            until = max(until, b)
        return union, sum(b - a for a, b in own)


class Run(NamedTuple):
    """A round of one contender."""

    files_per_second: float
    processor: float  # seconds a file, decode workers included
    busy: float  # share of the time in which the network was at work
    threads: float  # of it, on average


def throughput(plan: Plan, folder: Path) -> list[str]:
    """Measure P9: ``srcid index`` and the plain loop, in turns."""
    media = folder / "clips"
    media.mkdir()
    clips = [moving_clip(CLIP_SECONDS, seed=seed) for seed in range(DIFFERENT)]
    for number in range(plan.files):
        path = media / f"{number:04}.mp4"
        path.write_bytes(clips[number % DIFFERENT] + number.to_bytes(8, "big"))
    ours, plain = [], []
    for number in range(plan.rounds):
        ours.append(indexed(media, folder / f"ours{number}"))
        plain.append(looped(media, folder / f"plain{number}"))
    lines = ["", "## The network's share of the time (P9)", ""]
    lines += ["| | files/s | s of media/s | processor ms a file | network at work | threads |"]
    lines += ["|---|---|---|---|---|---|"]
    for name, runs in (("srcid index", ours), ("plain loop", plain)):
        own = Run(*(statistics.median(column) for column in zip(*runs, strict=True)))
        lines.append(
            f"| {name} | {own.files_per_second:.2f} | {own.files_per_second * CLIP_SECONDS:.0f} "
            f"| {1000 * own.processor:.0f} | {own.busy:.1%} | {own.threads:.2f} |"
        )
    least = min(run.busy for run in ours)
    return [
        *lines,
        "",
        f"Medians of {plan.rounds} rounds of {plan.files} clips of {CLIP_SECONDS} s (320 x 240, "
        "25 frames a second, H.264 and AAC), from the first file's hash to the last commit. At "
        "work: at least one thread is in the network; threads: how many on average.",
        "",
        str(Goal("P9", "network at work, least of the rounds", 100 * least, 90, True, "%")),
    ]


def indexed(media: Path, data_dir: Path) -> Run:
    """Index as ``srcid index`` does."""
    busy = Busy()
    settings = Settings(data_dir=data_dir)
    engine = open_engine(settings, observer=busy)
    with closing(open_items(settings, engine)) as items, engine:
        index = BulkIndex(engine, items)
        warm_up(engine, next(files_below(media)).path)
        before, started = processor_seconds(engine), time.monotonic()
        files = list(files_below(media))
        stop = threading.Event()
        outcomes = list(index_files(index, files, workers=index.num_workers, stop=stop))
        ended = time.monotonic()
        spent = processor_seconds(engine) - before
    assert all(outcome.kind == "indexed" for outcome in outcomes)
    union, total = busy.seconds(started, ended)
    passed = ended - started
    return Run(len(files) / passed, spent / len(files), union / passed, total / passed)


def looped(media: Path, data_dir: Path) -> Run:
    """Index file after file, in one thread."""
    settings = Settings(data_dir=data_dir)
    encoder = Encoder.from_pretrained(settings.checkpoint)
    config = DecodeConfig(max_steps=60)
    with open_store(settings, encoder) as store:
        encode(encoder, next(files_below(media)), config)
        before, started, inside = time.process_time(), time.monotonic(), 0.0
        files = list(files_below(media))
        for file in files:
            item, seconds = encode(encoder, file, config)
            inside += seconds
            store.add(item, replace=True)
        passed = time.monotonic() - started
        spent = time.process_time() - before
    return Run(len(files) / passed, spent / len(files), inside / passed, inside / passed)


def encode(encoder: Encoder, file: FileToIndex, config: DecodeConfig) -> tuple[Item, float]:
    """Return an item, and how many seconds the network took of it."""
    digest = sha256(file.path)
    clip = read_clip(file.path, config)
    prepared = encoder.prepare(clip)
    started = time.monotonic()
    features = zip(prepared, encoder.features(list(prepared.items())), strict=True)
    quantized = zip(prepared, encoder.quantize(list(features)), strict=True)
    codes = {m: own.codes for m, own in quantized}
    seconds = time.monotonic() - started
    streams = {m: Stream(own, clip.duration_seconds) for m, own in codes.items()}
    return Item(file.item_id, streams, file.metadata, None, digest), seconds


def warm_up(engine: Engine, path: Path) -> None:
    """Have every decode worker and thread do something."""
    jobs = [engine.submit(path) for _ in range(4)]
    for job in jobs:
        job.result()


def processor_seconds(engine: Engine) -> float:
    """Return what this process and its decode workers have spent."""
    ticks = os.sysconf("SC_CLK_TCK")
    spent = time.process_time()
    for pid in engine._pool.pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        spent += (int(fields[11]) + int(fields[12])) / ticks
    return spent


def film(plan: Plan, folder: Path) -> list[str]:
    """Measure P7: what memory an hour of video takes to be indexed."""
    clip, long = hour_of_video(CLIP_SECONDS), hour_of_video(plan.film_seconds)
    peaks, took = {}, {}
    for name, files in (
        ("one", [clip]),
        ("clips", [clip + bytes([number]) for number in range(12)]),
        ("film", [long]),
    ):
        media = folder / f"film-{name}"
        media.mkdir()
        for number, file in enumerate(files):
            (media / f"{number}.mp4").write_bytes(file)
        peaks[name], took[name] = peak_of_indexing(media, folder / f"data-{name}")
    return [
        "",
        "## Memory over a film (P7)",
        "",
        "The most that `srcid index` and its decode workers have together at any time; what they "
        "share counts once.",
        "",
        "| one clip of 10 s | 12 of them | a film |",
        "|---|---|---|",
        "| " + " | ".join(f"{peak / MEGABYTE:.0f} MiB" for peak in peaks.values()) + " |",
        "",
        f"The film has {plan.film_seconds} s: {peaks['film'] / peaks['one']:.2f} times the memory "
        "of one clip, which one decoder and one thread of the network do. It took "
        f"{took['film']:.0f} s with the start of the process: "
        f"{plan.film_seconds / took['film']:.0f} s of media a second.",
        "",
        str(
            Goal(
                "P7",
                "memory of indexing a film / clips",
                peaks["film"] / peaks["clips"],
                1.2,
                False,
            )
        ),
    ]


def peak_of_indexing(media: Path, data_dir: Path) -> tuple[int, float]:
    """Index a folder in a process of its own; return its most bytes, and its seconds."""
    command = [sys.executable, "-m", "app", "index", str(media), "--json"]
    environment = os.environ | {"SRCID_DATA_DIR": str(data_dir)}
    started, peak = time.monotonic(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        while process.poll() is None:
            peak = max(peak, proportional_bytes(process.pid))
            time.sleep(0.1)
    assert process.returncode == 0
    return peak, time.monotonic() - started


def growth(plan: Plan, folder: Path) -> list[str]:
    """Measure what passing over, and committing, a group of files takes in a large index."""
    settings = Settings(data_dir=folder / "growth")
    engine = open_engine(settings)
    stored = open_items(settings, engine)
    rng = np.random.default_rng(0)
    rows, size = engine.encoder.vocabulary.tables.shape[:2]

    def items(first: int, count: int) -> list[Item]:
        return [
            Item(
                f"clip-{number}.mp4",
                {
                    m: Stream(rng.integers(size, size=(rows, STEPS)).astype(np.int16), 10.0)
                    for m in (Modality.VIDEO, Modality.AUDIO)
                },
                {"path": f"clip-{number}.mp4"},
                None,
                f"{number:064x}",
            )
            for number in range(first, first + count)
        ]

    lines = ["", "## A large index", ""]
    lines += [f"| items | commit of {GROUP} files | passing over a file |", "|---|---|---|"]
    with closing(stored):
        for wanted in plan.sizes:
            while len(stored.store) < wanted:
                add(stored, items(len(stored.store), min(20_000, wanted - len(stored.store))))
            commits, looks = [], []
            for _ in range(15):
                group = items(len(stored.store), GROUP)
                started = time.perf_counter()
                add(stored, group)
                commits.append(time.perf_counter() - started)
                started = time.perf_counter()
                for item in islice(group, 10):
                    assert stored.digest(item.id) == item.sha256
                looks.append((time.perf_counter() - started) / 10)
            lines.append(
                f"| {wanted:,} | {1000 * statistics.median(commits):.1f} ms "
                f"| {1000 * statistics.median(looks):.2f} ms |"
            )
    return lines


def add(stored: Items, items: Sequence[Item]) -> None:
    """Commit items as a group of files that are indexed."""
    stored.keep_all([PreparedItem(item) for item in items])


if __name__ == "__main__":
    typer.run(main)
