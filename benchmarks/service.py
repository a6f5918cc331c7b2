"""The service under load, beside the bare network and beside a naive endpoint.

    OMP_NUM_THREADS=1 python -m benchmarks.service --quick
    OMP_NUM_THREADS=1 python -m benchmarks.service --out benchmarks/results/service_cpu_DATE.md

All run the shipped checkpoint, one torch thread a network. The bare network decodes and encodes
in one process, item by item, as the service does on a CPU. Contenders take turns. Processor time
is that of the server and all its processes; the load generator's, in a process of its own, is not
in it. Goals are those of docs/serving.md.
"""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import httpx2
import numpy as np
import torch
import typer

from benchmarks.load import Call, Load, closed_loop, open_loop
from benchmarks.media import hour_of_video, moving_clip
from benchmarks.processes import Server, naive, served
from benchmarks.service_table import HEAD, bare_measured, measured, quantile, row
from model.encoder import Encoder
from model.media import DecodeConfig, read_clip

SENTENCE = "a dog barks in the rain"
MEGABYTE = 2**20


class Plan(NamedTuple):
    """How much is measured."""

    clip_seconds: int  # of the clip that is sent
    clients: tuple[int, ...]
    rounds: int  # in which the contenders take turns
    seconds: float  # of one load, at least
    overload_seconds: float
    requests: int  # after which memory is looked at again
    starts: int


QUICK = Plan(2, (1, 4, 16), 1, 2.0, 6.0, 200, 1)
FULL = Plan(10, (1, 4, 16, 64), 3, 15.0, 45.0, 2000, 5)


def main(
    quick: Annotated[bool, typer.Option(help="Smaller loads: about two minutes.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the report here.")] = None,
) -> None:
    """Measure throughput, latency, overload, start, memory and determinism; print the report."""
    torch.set_num_threads(1)
    plan = QUICK if quick else FULL
    lines = [line for part in report(plan) for line in _told(part)]
    if out:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def report(plan: Plan) -> Iterator[list[str]]:
    """Yield the parts of the report as they are measured."""
    cores = os.cpu_count()
    yield [
        "# The service under load",
        "",
        f"`python -m benchmarks.service {' '.join(sys.argv[1:])}`: torch {torch.__version__}, "
        f"{platform.machine()}, {cores} processors; clips of {plan.clip_seconds} s "
        f"(320 x 240, 25 frames a second, H.264 and AAC), sentences of 6 words; "
        f"{plan.rounds} rounds of {plan.seconds:g} s and more.",
    ]
    clip = moving_clip(plan.clip_seconds)
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as generator:

        def run(load: Callable[..., Load], *arguments: Any, **options: Any) -> Load:
            return generator.submit(load, *arguments, **options).result()

        for what in ("clips", "sentences"):
            yield throughput(plan, clip if what == "clips" else None, run)
        yield overload(plan, clip, run)
        yield companies(clip)
        yield memory(plan, run)
    yield starts(plan)


def throughput(plan: Plan, clip: bytes | None, run: Callable[..., Load]) -> list[str]:
    """Measure P1, P2 and P3 for clips, or for sentences."""
    bare = Bare(clip)
    with ExitStack() as stack:
        servers = {
            "ours": stack.enter_context(served(max_queue=256)),
            "naive": stack.enter_context(naive()),
        }
        calls = {name: call_of(server, name, clip) for name, server in servers.items()}
        for name in servers:
            run(closed_loop, [calls[name]], clients=4, seconds=1)  # warms up
        loads: dict[tuple[str, int], list[tuple[Load, float]]] = {}
        alone: list[tuple[list[float], float]] = []
        for _ in range(plan.rounds):
            alone.append(bare.run(plan.seconds))
            for clients in plan.clients:
                for name, server in servers.items():
                    before = server.processor_seconds
                    load = run(closed_loop, [calls[name]], clients=clients, seconds=plan.seconds)
                    spent = server.processor_seconds - before
                    loads.setdefault((name, clients), []).append((load, spent))
    own = bare_measured(alone)
    found = {key: measured(rounds) for key, rounds in loads.items()}
    what = "sentences" if clip is None else "clips"
    lines = ["", f"## {what.capitalize()}", "", *HEAD]
    lines.append(row("bare", 1, own, own))
    for (name, clients), one in found.items():
        lines.append(row(name, clients, one, own))
    ours = {clients: one for (name, clients), one in found.items() if name == "ours"}
    many = [one for clients, one in ours.items() if clients >= 16]
    added = 1000 * (ours[1].p50 - own.p50)
    ratio = min(own.processor / one.processor for one in many)
    slowest = max(one.p99 / one.p50 for one in ours.values())
    return [
        *lines,
        "",
        f"- P1, processor time of the bare network / of a request at 16 clients and more: "
        f"{ratio:.2f} (goal 0.90)",
        f"- P2, added at one client (p50): {added:.2f} ms (goal 1)",
        f"- P3, p99 / p50 at most: {slowest:.1f} (goal 3)",
    ]


def overload(plan: Plan, clip: bytes, run: Callable[..., Load]) -> list[str]:
    """Measure P3 at twice what the service can do."""
    with served(max_queue=16) as server:
        call = call_of(server, "ours", clip)
        run(closed_loop, [call], clients=4, seconds=1)
        peak = run(closed_loop, [call], clients=8, seconds=plan.overload_seconds).per_second
        load = run(open_loop, [call], per_second=2 * peak, seconds=plan.overload_seconds)
    refused = load.answered(503)
    shots = [shot for shot in load.shots if shot.status == 503]
    waits = sorted(int(shot.retry_after or 0) for shot in shots)
    others = len(load.shots) - len(refused) - len(load.answered(200))
    lines = [
        "",
        "## At twice saturation",
        "",
        f"- 8 clients: {peak:.1f} clips a second; then {2 * peak:.1f} a second come in, whatever "
        "becomes of them (`SRCID_MAX_QUEUE=16`)",
        f"- served while the load lasted: {load.per_second:.1f} a second, "
        f"{load.per_second / peak:.0%} of the peak (goal 95 %)",
    ]
    if refused:
        lines.append(
            f"- refused: {len(refused)}, in {1000 * quantile(refused, 0.5):.0f} ms (p50), "
            f"{1000 * quantile(refused, 0.99):.0f} ms (p99; goal 50), each told to come back in "
            f"{waits[0]} to {waits[-1]} s"
        )
    return [*lines, f"- answered otherwise: {others}"]


def companies(clip: bytes) -> list[str]:
    """Measure P8: the codes of items alone, in company, and after a restart."""
    sources: list[bytes | str] = [clip, moving_clip(1, seed=1), SENTENCE, "rain", "a piano plays"]
    expected = []
    for source in sources:
        expected.append(Bare(source if isinstance(source, bytes) else None, source).codes())
    different = compared = 0
    for _ in range(2):  # a restart
        with served() as server, ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
            for count in (1, 4, 16, 64):
                order = np.random.default_rng(count).integers(len(sources), size=count).tolist()
                jobs = [pool.submit(codes_of, server.url, sources[n]) for n in order]
                for n, job in zip(order, jobs, strict=True):
                    compared += 1
                    different += job.result() != expected[n]
    return [
        "",
        "## Codes",
        "",
        f"- P8, answers whose codes differ from those of the bare network, with 1 to 64 requests "
        f"at once from 4 processes, in random order, before and after a restart: {different} of "
        f"{compared} (goal 0)",
    ]


def memory(plan: Plan, run: Callable[..., Load]) -> list[str]:
    """Measure P7: what an hour of video takes, and what many requests leave behind."""
    peaks = {}
    for seconds in (10, 3600):
        video = hour_of_video(seconds)
        with served(max_decodes=1, network_threads=1) as server:
            for _ in range(3):
                httpx2.post(f"{server.url}/encode", files={"file": video}, timeout=300)
            peaks[seconds] = server.peak_bytes
    with served(max_decodes=1, network_threads=1) as server:
        calls = [
            Call(f"{server.url}/encode", file=moving_clip(1)),
            *[Call(f"{server.url}/encode", text=SENTENCE)] * 9,
        ]

        def send(count: int) -> int:
            sent = 0
            while sent < count:
                sent += len(run(closed_loop, calls, clients=8, seconds=0.5).shots)
            return server.resident_bytes

        before = send(max(50, plan.requests // 4))
        after = send(plan.requests)
    return [
        "",
        "## Memory",
        "",
        f"- P7, peak after 10 s of video {peaks[10] / MEGABYTE:.0f} MiB, after an hour "
        f"{peaks[3600] / MEGABYTE:.0f} MiB: {peaks[3600] / peaks[10]:.2f} (goal 1.2)",
        f"- growth over {plan.requests} requests, nine of ten sentences: "
        f"{before / MEGABYTE:.0f} to {after / MEGABYTE:.0f} MiB, {after / before - 1:+.1%} "
        "(goal 2 % over 10,000)",
    ]


def starts(plan: Plan) -> list[str]:
    """Measure P7: how long until the service answers."""
    seconds = []
    for _ in range(plan.starts + 1):
        with served() as server:
            seconds.append(server.start_seconds)
    middle = statistics.median(seconds[1:])
    return ["", "## Start", "", f"- P7, until /livez answers: {middle:.2f} s (goal 3)"]


class Bare:
    """Decoding and encoding without a service."""

    def __init__(self, clip: bytes | None, sentence: bytes | str | None = None) -> None:
        self.encoder = Encoder.from_pretrained("compact")
        self.config = DecodeConfig(max_steps=60)
        self.clip = clip
        self.sentence = sentence if isinstance(sentence, str) else SENTENCE

    def codes(self) -> dict[str, list[list[int]]]:
        """Encode once."""
        if self.clip is None:
            return {"text": self.encoder.encode_text(self.sentence).tolist()}
        own = self.encoder.encode_clip(read_clip(self.clip, self.config))
        return {str(m): codes.tolist() for m, codes in own.items()}

    def run(self, seconds: float) -> tuple[list[float], float]:
        """Encode for so long; return what each took, and a request's processor time."""
        self.codes()
        took = []
        processor, began = time.process_time(), time.perf_counter()
        while time.perf_counter() - began < seconds:
            started = time.perf_counter()
            self.codes()
            took.append(time.perf_counter() - started)
        return took, (time.process_time() - processor) / len(took)


def codes_of(url: str, source: bytes | str) -> dict[str, list[list[int]]]:
    """Return the codes that the service answers."""
    sent: dict[str, Any] = (
        {"json": {"text": source}} if isinstance(source, str) else {"files": {"file": source}}
    )
    answer = httpx2.post(f"{url}/encode", timeout=300, **sent).raise_for_status()
    return {m: stream["codes"] for m, stream in answer.json()["streams"].items()}


def call_of(server: Server, name: str, clip: bytes | None) -> Call:
    """Return the request for a clip or a sentence."""
    if clip is not None:
        return Call(f"{server.url}/encode", file=clip)
    return Call(f"{server.url}/{'encode' if name == 'ours' else 'sentence'}", text=SENTENCE)


def _told(lines: list[str]) -> list[str]:
    print("\n".join(lines), flush=True)
    return lines


if __name__ == "__main__":
    typer.run(main)
