"""What a disk may hold after a power cut, by the rules that POSIX gives.

Of what was done, a synchronisation that has ended covers what had ended before it began: of a
file its content, of a folder the names in it. All else may be there or not, in any combination;
of the bytes of a write, any sectors. A real file system promises more.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.power_cuts.recording import (
    ROOT,
    Change,
    Link,
    Operation,
    Rename,
    Resize,
    Sync,
    Told,
    Unlink,
    Write,
)

SECTOR = 512  # bytes that a disk writes as a whole
Names = dict[int, dict[str, int]]  # by folder: what its names stand for
Files = dict[int, bytearray]
DRAWN = 3  # random selections for each moment


class State(NamedTuple):
    """What is on a disk after a power cut."""

    told: int  # lines that the process had told
    kept: tuple[int, ...]  # operations that are on the disk, by number
    torn: int | None  # one of them, a write, of which some sectors are missing
    lost: tuple[int, ...]  # operations that are not


def states(operations: Sequence[Operation], *, without: int | None = None) -> Iterator[State]:
    """Yield the states that differ, moment by moment.

    Args:
        operations: What was done.
        without: A synchronisation that is taken away, to see whether anybody notices.
    """
    seen = set()
    told = 0
    covered: set[int] = set()
    done: list[int] = []  # changes
    for number, own in enumerate(operations):
        if isinstance(own, Told):
            told += 1
        elif isinstance(own, Sync):
            if number == without:
                continue
            covered |= {
                each
                for each in done
                if each < own.since and own.number in _places(operations[each])
            }
        else:
            done.append(number)
        for kept, torn in _selections(operations, done, covered, seed=number):
            if (told, kept, torn) not in seen:
                seen.add((told, kept, torn))
                lost = tuple(sorted(set(done) - set(kept)))
                yield State(told, kept, torn, lost)


def _places(change: Operation) -> tuple[int, ...]:
    """Return whose synchronisation covers a change."""
    match change:
        case Write(file=file) | Resize(file=file):
            return (file,)
        case Rename():
            return (change.folder, change.to_folder)
        case Link(folder=folder) | Unlink(folder=folder):
            return (folder,)
    return ()


def _selections(
    operations: Sequence[Operation], done: list[int], covered: set[int], *, seed: int
) -> Iterator[tuple[tuple[int, ...], int | None]]:
    """Yield which changes are on the disk, and which write is torn."""
    rng = random.Random(seed)
    loose = [number for number in done if number not in covered]
    contents = {own for own in loose if isinstance(operations[own], Write | Resize)}
    choices = [set(), set(loose), contents, set(loose) - contents]
    if loose:
        choices += [{loose[-1]}, set(loose) - {loose[-1]}]
    for choice in choices:
        yield tuple(own for own in done if own in covered or own in choice), None
    for _ in range(DRAWN if loose else 0):
        choice = {own for own in loose if rng.random() < 0.5}
        writes = sorted(
            own
            for own in choice & contents
            if isinstance(write := operations[own], Write) and len(write.data) > SECTOR
        )
        torn = rng.choice(writes) if writes else None
        yield tuple(own for own in done if own in covered or own in choice), torn


def write_state(operations: Sequence[Operation], state: State, folder: Path) -> None:
    """Make ``folder``, which is new, hold what the disk holds."""
    names: Names = {ROOT: {}}
    files: Files = {}
    rng = random.Random(repr(state.kept[-3:]))
    for number in state.kept:
        change = operations[number]
        if number == state.torn and isinstance(change, Write):
            for piece in _some_sectors(change, rng):
                _apply(piece, names, files)
        else:
            _apply(change, names, files)
    _write_folder(ROOT, folder, names, files)


def _apply(change: Operation, names: Names, files: Files) -> None:
    match change:
        case Link():
            names.setdefault(change.folder, {})[change.name] = change.made
            if change.is_folder:
                names.setdefault(change.made, {})
            else:
                files.setdefault(change.made, bytearray())
        case Unlink():
            names.get(change.folder, {}).pop(change.name, None)
        case Rename():
            names.get(change.folder, {}).pop(change.name, None)
            names.setdefault(change.to_folder, {})[change.to_name] = change.moved
        case Write():
            content = files.setdefault(change.file, bytearray())
            content.extend(bytes(max(0, change.offset - len(content))))
            content[change.offset : change.offset + len(change.data)] = change.data
        case Resize():
            content = files.setdefault(change.file, bytearray())
            content.extend(bytes(max(0, change.size - len(content))))
            del content[change.size :]


def _some_sectors(write: Write, rng: random.Random) -> Iterator[Change]:
    """Yield the sectors of a write that are there; the file is as long as if all were."""
    for start in range(0, len(write.data), SECTOR):
        if rng.random() < 0.5:
            yield Write(write.file, write.offset + start, write.data[start : start + SECTOR])


def _write_folder(number: int, path: Path, names: Names, files: Files) -> None:
    path.mkdir()
    for name, own in names[number].items():
        if own in names:
            _write_folder(own, path / name, names, files)
        else:
            (path / name).write_bytes(files[own])
