"""One process that writes and several that read at once (R2)."""

from pathlib import Path

from tests.app.store.processes import FORKS, is_whole, make_item, open_store, watch

READERS = 7
ROUNDS = 25


def test_seven_readers_beside_a_writer_never_see_half_an_item_nor_an_older_one(
    tmp_path: Path,
) -> None:
    ids = [f"{n:02}" for n in range(20)]
    with open_store(tmp_path) as store:
        store.add_many([make_item(own, 1) for own in ids], replace=False)
        pipes = [FORKS.Pipe(duplex=False) for _ in range(READERS)]
        readers = [FORKS.Process(target=watch, args=(tmp_path, its, ROUNDS)) for _, its in pipes]
        for reader in readers:
            reader.start()
        assert [ours.recv() for ours, _ in pipes] == ["ready"] * READERS
        version = 1
        while any(not ours.poll() for ours, _ in pipes):
            version += 1
            for place, own in enumerate(ids):
                if place % 5:
                    store.add(make_item(own, version), replace=True)
            store.add_many([make_item(own, version) for own in ids[::5]], replace=True)
        assert [ours.recv() for ours, _ in pipes] == [[]] * READERS
        for reader in readers:
            reader.join()
        items = store.page(after="", limit=100)
        assert [item.metadata["version"] for item in items] == [version] * len(ids)
        assert all(map(is_whole, items))
