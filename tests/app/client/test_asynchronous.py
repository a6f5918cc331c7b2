"""The client for asyncio, over a socket, on the real service."""

import asyncio
import inspect
from pathlib import Path

import pytest

from app.client import AsyncSRCIDClient, SRCIDClient
from app.errors import NotFound
from app.schemas.sources import ItemReference
from tests.app.client.conftest import IMPATIENT


def test_it_has_the_calls_of_the_other_client_with_the_same_arguments() -> None:
    def calls(client: type) -> dict[str, list[str]]:
        public = {n: f for n, f in vars(client).items() if inspect.isfunction(f) and n[0] != "_"}
        return {name: list(inspect.signature(f).parameters) for name, f in public.items()}

    assert calls(AsyncSRCIDClient) == calls(SRCIDClient)


def test_many_requests_run_at_once(address: str, clip_file: Path, service: SRCIDClient) -> None:
    async def work() -> None:
        async with AsyncSRCIDClient(address, retry=IMPATIENT) as client:
            assert await client.is_ready()
            ids = [f"clip{n}" for n in range(8)]
            added = await asyncio.gather(*(client.add(name, clip_file) for name in ids))
            assert [item.id for item in added] == ids
            assert [item.id async for item in client.items()] == ids
            found = await client.search(ItemReference("clip3"), k=3, targets=["audio"])
            assert len(found.hits) == 3
            assert len((await client.duplicates("clip0")).duplicates) == 14
            batch = await client.encode_batch(["a dog", clip_file])
            assert [own.status for own in batch.results] == [200, 200]
            assert await client.encode(clip_file) == service.encode(clip_file)
            assert (await client.compare("a dog", "rain")).maps
            await client.put("clip0", "a dog", metadata={"n": 1})
            assert (await client.get("clip0")).metadata == {"n": 1}
            await client.delete("clip0")
            with pytest.raises(NotFound):
                await client.get("clip0")
            assert (await client.model()).num_items == 7

    asyncio.run(work())
