"""What the service does under load: throughput, what it adds to one request, twice saturation."""

import math
import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

from benchmarks.bare import Bare
from benchmarks.goals import Goal
from benchmarks.load import Load, closed_loop, open_loop
from benchmarks.processes import naive, served
from benchmarks.service_plan import Plan, call_of, source_of
from benchmarks.service_table import HEAD, bare_measured, measured, quantile, row
from benchmarks.wire import Caller

PROCESSES = os.cpu_count() or 1
OURS = {"ours": 1}  # --workers of each
if PROCESSES > 1:
    OURS[f"ours, {PROCESSES} processes"] = PROCESSES


class Run(Protocol):
    """Runs a load in the generator's process."""

    def __call__(self, load: Callable[..., Load], *arguments: object, **options: object) -> Load:
        """Return what came of ``load``."""


def throughput(plan: Plan, what: str, run: Run) -> list[str]:
    """Measure P1 and P3 for clips, or for sentences."""
    source = source_of(plan, what)
    bare = Bare(source)
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(served(workers=workers, max_queue=256))
            for name, workers in OURS.items()
        }
        servers["naive"] = stack.enter_context(naive())
        calls = {name: call_of(server, name, source) for name, server in servers.items()}
        for name in servers:
            run(closed_loop, [calls[name]], clients=4, seconds=1)  # warms up
        loads: dict[tuple[str, int], list[tuple[Load, float]]] = {}
        alone: list[tuple[list[float], float]] = []
        for _ in range(plan.rounds):
            for clients in plan.clients:
                alone.append(bare.run(plan.seconds / 2))
                for name, server in servers.items():
                    before = server.processor_seconds
                    load = run(closed_loop, [calls[name]], clients=clients, seconds=plan.seconds)
                    spent = server.processor_seconds - before
                    loads.setdefault((name, clients), []).append((load, spent))
    own = bare_measured(alone)
    found = {key: measured(rounds) for key, rounds in loads.items()}
    size = f"{plan.clip_seconds} s, {len(source) // 1024} KiB" if what == "clips" else "6 words"
    lines = ["", f"## {what.capitalize()} ({size})", "", *HEAD, row("bare", 1, own, own)]
    lines += [row(name, clients, one, own) for (name, clients), one in found.items()]
    lines.append("")
    for ours in OURS:
        told = what + ours.removeprefix("ours")
        own_loads = {clients: one for (name, clients), one in found.items() if name == ours}
        ratios = [own.processor / one.processor for n, one in own_loads.items() if n >= 16]
        slowest = max(one.p99 / one.p50 for one in own_loads.values())
        lines += [
            str(Goal("P1", f"{told}, processor time bare / served", min(ratios), 0.9, True)),
            str(Goal("P3", f"{told}, p99 / p50 at most", slowest, 3, False)),
        ]
    return lines


def added(plan: Plan) -> list[str]:
    """Measure P2: the bare network and each server take turns, request by request."""
    lines = ["", "## One client, request by request", ""]
    for what, pairs in (("sentences", plan.pairs), ("clips", plan.pairs // 4)):
        source = source_of(plan._replace(clip_seconds=2), what)
        bare = Bare(source)
        with served() as ours:
            ask = Caller(call_of(ours, "ours", source))
            seconds: list[tuple[float, float]] = []
            spent = [0.0, 0.0]
            for number in range(pairs + 10):  # the first ones warm up
                if number == 10:
                    seconds, spent = [], [time.process_time(), ours.processor_seconds]
                seconds.append((_timed(bare.codes), _timed(ask)))
            bare_spent = (time.process_time() - spent[0]) / pairs
            ours_spent = (ours.processor_seconds - spent[1]) / pairs
        differences = sorted(1000 * (own - alone) for alone, own in seconds)
        alone = 1000 * statistics.median(alone for alone, _ in seconds)
        low, high = (
            differences[int(pairs / 2 + sign * 0.98 * math.sqrt(pairs))] for sign in (-1, 1)
        )
        lines += [
            str(Goal("P2", f"added to {what}", statistics.median(differences), 1, False, "ms")),
            f"- {what}: median of {pairs} pairs, 95 % interval {low:.2f} to {high:.2f}, to "
            f"{alone:.2f} ms; processor {1000 * bare_spent:.2f} ms bare with the asking, "
            f"{1000 * ours_spent:.2f} ms served",
        ]
    return lines


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def overload(plan: Plan, what: str, run: Run) -> list[str]:
    """Measure P3 at twice what the service can do, with one process and with several."""
    return [line for ours in OURS for line in _overload(plan, what, run, ours)]


def _overload(plan: Plan, what: str, run: Run, ours: str) -> list[str]:
    source, told = source_of(plan, what), what + ours.removeprefix("ours")
    with served(workers=OURS[ours], max_queue=16) as server:
        call = call_of(server, "ours", source)
        run(closed_loop, [call], clients=4, seconds=1)
        before = server.processor_seconds
        peak = run(closed_loop, [call], clients=8, seconds=plan.overload_seconds)
        between = server.processor_seconds
        rate = 2 * peak.per_second
        load = run(open_loop, [call], per_second=rate, seconds=plan.overload_seconds)
        spent = (between - before, server.processor_seconds - between)
    refused = load.answered(503)
    waits = sorted(int(shot.retry_after or 0) for shot in load.shots if shot.status == 503)
    others = len(load.shots) - len(refused) - len(load.answered(200))
    share = load.per_second / peak.per_second
    costs = [
        (len(own.answered(200)) + own.num_late) / seconds
        for own, seconds in zip((peak, load), spent, strict=True)
    ]
    lines = [
        "",
        f"## Twice saturation: {told}",
        "",
        f"- 8 clients: {peak.per_second:.1f} a second; then {rate:.1f} a second come in, whatever "
        "becomes of them (`SRCID_MAX_QUEUE=16`)",
        str(Goal("P3", f"{told}, served at twice the load / at the peak", share, 0.95, True)),
        f"- served while the load lasted: {load.per_second:.1f} a second",
        f"- served a processor second of the server: {costs[0]:.2f} at the peak, {costs[1]:.2f} at "
        f"twice of it; the generator took {peak.processor / peak.seconds:.2f} and "
        f"{load.processor / load.seconds:.2f} of the {os.cpu_count()} processors",
    ]
    if refused:
        slowest = 1000 * quantile(refused, 0.99)
        lines += [
            str(Goal("P3", f"{told}, until a refusal (p99)", slowest, 50, False, "ms")),
            f"- refused: {len(refused)}, in {1000 * quantile(refused, 0.5):.0f} ms (p50), each "
            f"told to come back in {waits[0]} to {waits[-1]} s",
        ]
    return [*lines, f"- answered otherwise: {others}"]
