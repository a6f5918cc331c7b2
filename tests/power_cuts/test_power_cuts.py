"""What was acknowledged survives a power cut, whatever of the rest is on the disk.

The system calls of a process that writes are recorded with strace, and disks are made as a power
cut may leave them; each is opened with the product. As in: Pillai et al., All File Systems Are
Not Created Equal (OSDI 2014).
"""

import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.power_cuts.disk import State, states, write_state
from tests.power_cuts.recording import Operation, Sync, Told, reason_against, record
from tests.power_cuts.written import GONE, OpenStore, Values, found, store_opener

PROJECT = Path(__file__).parents[2]


class Recorded(NamedTuple):
    """What the process did, and how its folders are opened."""

    operations: list[Operation]
    root: Path
    open_own: OpenStore


@pytest.fixture(scope="module")
def recorded(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    if reason := reason_against():
        pytest.skip(f"system calls cannot be recorded: {reason}")
    folder = tmp_path_factory.mktemp("recorded")
    (root := folder / "root").mkdir()
    command = [sys.executable, "-m", "tests.power_cuts.written"]
    command += [str(root), str(folder / "told"), str(tiny_checkpoint)]
    operations = record(command, root, told=folder / "told")
    return Recorded(operations, root, store_opener(tiny_checkpoint))


def test_the_recording_is_whole(recorded: Recorded, tmp_path: Path) -> None:
    """All operations together give the files that are there, but for what is mapped."""
    *_, last = states(recorded.operations)
    everything = last._replace(kept=tuple(sorted((*last.kept, *last.lost))), torn=None)
    write_state(recorded.operations, everything, tmp_path / "disk")
    assert contents(tmp_path / "disk") == contents(recorded.root)


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if not path.name.endswith("-shm")
    }


def test_a_hundred_power_cuts_lose_nothing(recorded: Recorded, tmp_path: Path) -> None:
    every = list(states(recorded.operations))
    some = random.Random(0).sample(every, 100)
    assert list(losses(recorded, some, tmp_path)) == []


@pytest.mark.slow
def test_two_thousand_power_cuts_lose_nothing(recorded: Recorded, tmp_path: Path) -> None:
    every = list(states(recorded.operations))
    some = random.Random(1).sample(every, 2000)
    assert list(losses(recorded, some, tmp_path)) == []


PLANTED = {  # a synchronisation by its path: the first of these
    "an item": "index/items.sqlite3-wal",
    "the name of the data folder": "",
    "the name of the keys": "data/of/service",
    "the name of a medium": "data/of/service/media/",
    "the name of a job": "data/of/service/jobs",
    "a backup": "backups/of/service",
    "a checkpoint": "runs/one",
}


@pytest.mark.slow
@pytest.mark.parametrize("what", PLANTED)
def test_a_synchronisation_that_is_missing_is_seen(
    recorded: Recorded, tmp_path: Path, what: str
) -> None:
    """Taken away one by one, at least one of them loses something."""
    lost = []
    for number, own in enumerate(recorded.operations):
        if isinstance(own, Sync) and is_planted(own.path, PLANTED[what]) and not lost:
            every = states(recorded.operations, without=number)
            later = [cut for cut in every if cut.kept and max(cut.kept + cut.lost) >= own.since]
            some = random.Random(0).sample(later, min(len(later), 150))
            lost = list(islice(losses(recorded, some, tmp_path), 1))
    assert lost


def is_planted(path: str, wanted: str) -> bool:
    return path.startswith(wanted) if wanted.endswith("/") else path == wanted


def losses(recorded: Recorded, cuts: Sequence[State], folder: Path) -> Iterator[str]:
    """Yield what is wrong after each of some power cuts."""
    lines = [own.line for own in recorded.operations if isinstance(own, Told)]
    for cut in cuts:
        root = folder / "cut"
        write_state(recorded.operations, cut, root)
        try:
            values = found(root, recorded.open_own)
        except Exception as error:  # any: a folder that does not open is a loss
            yield f"{cut}: {type(error).__name__}: {error}"
        else:
            if wrong := unlike(values, lines[: cut.told]):
                yield f"{cut}: {wrong}"
        shutil.rmtree(root)


def unlike(values: Values, told: Sequence[str]) -> str:
    """Return what is not as told; empty where all is."""
    acknowledged: Values = {}
    under_way: Values = {}
    for line in told:
        kind, name, value = line.split()
        if kind == "begin":
            under_way[name] = value
        else:
            acknowledged[name] = under_way.pop(name)
            assert acknowledged[name] == value
    names = sorted(values.keys() | acknowledged.keys() | under_way.keys())
    return "; ".join(
        f"{name} is {own}, was acknowledged as {kept}"
        for name in names
        if (own := values.get(name, GONE))
        not in {kept := acknowledged.get(name, GONE), under_way.get(name, kept)}
    )
