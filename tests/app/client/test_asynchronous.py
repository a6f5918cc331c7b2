"""What is the asyncio client's own; the other tests here run on both."""

import asyncio
import inspect
from pathlib import Path

from app.client import AsyncClient, Client
from tests.app.client.conftest import IMPATIENT


def test_it_has_the_calls_of_the_other_client_with_the_same_arguments() -> None:
    def calls(client: type) -> dict[str, list[str]]:
        functions = inspect.getmembers(client, inspect.isfunction)
        return {n: list(inspect.signature(f).parameters) for n, f in functions if n[0] != "_"}

    assert calls(AsyncClient) == calls(Client)


def test_many_requests_run_at_once(address: str, clip_file: Path) -> None:
    async def work() -> None:
        async with AsyncClient(address, retry=IMPATIENT) as client:
            ids = [f"clip{n}" for n in range(8)]
            added = await asyncio.gather(*(client.add(name, clip_file) for name in ids))
            assert [item.id for item in added] == ids
            assert [item.id async for item in client.items()] == ids

    asyncio.run(work())
