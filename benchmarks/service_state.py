"""What of the service does not depend on the load: its codes, its memory, its start."""

import statistics
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import httpx2
import numpy as np

from benchmarks.bare import Bare
from benchmarks.goals import Goal
from benchmarks.load import closed_loop
from benchmarks.media import hour_of_video, moving_clip
from benchmarks.processes import served
from benchmarks.service_load import Run
from benchmarks.service_plan import SENTENCE, Plan
from benchmarks.wire import Call

MEGABYTE = 2**20


def companies(plan: Plan) -> list[str]:
    """Measure P8: the codes of items alone, in company, and after a restart."""
    clips = [moving_clip(plan.clip_seconds), moving_clip(1, seed=1)]
    sources: list[bytes | str] = [*clips, SENTENCE, "rain", "a piano plays"]
    expected = [Bare(source).codes() for source in sources]
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
        str(Goal("P8", f"answers that differ, of {compared}", different, 0, False)),
        "- from those of the bare network: 1 to 64 requests at once from 4 processes, in random "
        "order, before and after a restart",
    ]


def memory(plan: Plan, run: Run) -> list[str]:
    """Measure P7: what an hour of video takes, and what many requests leave behind."""
    peaks = {}
    for seconds in (10, 3600):
        video = hour_of_video(seconds)
        with served(max_decodes=1, network_threads=1) as server:
            for _ in range(3):
                httpx2.post(f"{server.url}/encode", files={"file": video}, timeout=300)
            peaks[seconds] = server.peak_bytes
    with served() as server:
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
    gained = 100 * (after / before - 1)
    return [
        "",
        "## Memory",
        "",
        str(
            Goal("P7", "memory of an hour of video / of 10 s", peaks[3600] / peaks[10], 1.2, False)
        ),
        f"- peak after 10 s {peaks[10] / MEGABYTE:.0f} MiB, after an hour "
        f"{peaks[3600] / MEGABYTE:.0f} MiB",
        str(Goal("P7", f"memory gained by {plan.requests:,} requests", gained, 2, False, "%")),
        f"- nine of ten are sentences: {before / MEGABYTE:.0f} to {after / MEGABYTE:.0f} MiB",
    ]


def starts(plan: Plan) -> list[str]:
    """Measure P7: how long until the service answers."""
    alive, ready = [], []
    for _ in range(plan.starts + 1):
        with served() as server:
            alive.append(server.alive_seconds)
            ready.append(server.ready_seconds)
    return [
        "",
        "## Start",
        "",
        str(Goal("P7", "until /livez answers", statistics.median(alive[1:]), 3, False, "s")),
        f"- until requests are served: {statistics.median(ready[1:]):.2f} s",
    ]


def codes_of(url: str, source: bytes | str) -> dict[str, list[list[int]]]:
    """Return the codes that the service answers."""
    sent: dict[str, Any] = (
        {"json": {"text": source}} if isinstance(source, str) else {"files": {"file": source}}
    )
    answer = httpx2.post(f"{url}/encode", timeout=300, **sent).raise_for_status()
    return {m: stream["codes"] for m, stream in answer.json()["streams"].items()}
