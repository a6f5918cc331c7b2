"""A load generator, run in a process of its own so that its work is not taken for the server's."""

import asyncio
import time
from typing import NamedTuple

from benchmarks.wire import Call, Connections

TIMEOUT = 300.0  # seconds


class Shot(NamedTuple):
    """What became of one request."""

    start: float  # seconds, from the start of the load
    seconds: float
    status: int
    retry_after: str | None


class Load(NamedTuple):
    """All requests of one load."""

    shots: list[Shot]
    seconds: float  # from its start until the last answer
    processor: float = 0.0  # seconds that sending took
    num_late: int = 0  # served after the load had ended, which shots leave out

    def answered(self, status: int) -> list[float]:
        """Return the seconds that the answers of a status took, in rising order."""
        return sorted(shot.seconds for shot in self.shots if shot.status == status)

    @property
    def per_second(self) -> float:
        """Requests served each second."""
        return len(self.answered(200)) / self.seconds


def closed_loop(calls: list[Call], *, clients: int, seconds: float) -> Load:
    """Let ``clients`` send one request after the other; each at least one."""

    wires, connections = [call.wire for call in calls], Connections(calls[0].address)

    async def main() -> Load:
        began, processor = time.perf_counter(), time.process_time()
        shots: list[Shot] = []

        async def one(number: int) -> None:
            while True:
                shots.append(await _shoot(connections, wires[number % len(calls)], began))
                number += 1
                if time.perf_counter() - began > seconds:
                    return

        await asyncio.gather(*(one(number) for number in range(clients)))
        connections.close()
        return Load(shots, time.perf_counter() - began, time.process_time() - processor)

    return asyncio.run(main())


def open_loop(calls: list[Call], *, per_second: float, seconds: float) -> Load:
    """Send ``per_second`` requests each second, whatever becomes of them."""

    wires, connections = [call.wire for call in calls], Connections(calls[0].address)

    async def main() -> Load:
        began, before = time.perf_counter(), time.process_time()
        tasks = []
        for number in range(round(per_second * seconds)):
            await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            shot = _shoot(connections, wires[number % len(calls)], began)
            tasks.append(asyncio.create_task(shot))
        sending = time.perf_counter() - began
        processor = time.process_time() - before
        shots = await asyncio.gather(*tasks)
        connections.close()
        # Served while the load lasted: what the queue still held comes on top, for free.
        served = [
            shot for shot in shots if shot.start + shot.seconds <= sending or shot.status != 200
        ]
        return Load(served, sending, processor, num_late=len(shots) - len(served))

    return asyncio.run(main())


async def _shoot(connections: Connections, wire: bytes, began: float) -> Shot:
    start = time.perf_counter()
    async with asyncio.timeout(TIMEOUT):
        answer = await connections.send(wire)
    return Shot(start - began, time.perf_counter() - start, answer.status, answer.retry_after)
