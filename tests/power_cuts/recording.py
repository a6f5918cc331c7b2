"""What a process did to the files below a folder, as strace saw it.

Names, contents and synchronisations become operations in the order in which they ended. A file or
a folder has a number for life, as an inode has, and ``ROOT`` is the folder itself.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = 0
CALLS = (
    "openat,creat,write,pwrite64,writev,pwritev,sendfile,copy_file_range,fsync,fdatasync,rename,"
    "renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,ftruncate,truncate,fallocate,lseek,"
    "link,linkat,symlink,symlinkat"
)
LONGEST = 2**26  # bytes of a write that strace shows
STRACE = ("strace", "-f", "-y", "-xx", "-s", str(LONGEST), "--seccomp-bpf")
STRACE += ("-e", f"trace={CALLS}", "-e", "signal=none")
LINE = re.compile(r"(\d+) +(.*)")
UNFINISHED = re.compile(r"(.*) <unfinished \.\.\.>")
RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)")
CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)")
# A string, a structure, or what stands between commas; descriptors have their path in brackets.
ARGUMENT = re.compile(r'\s*("[^"]*"|\[[^\]]*\]|[^,<]*(?:<[^>]*>)?[^,]*)(?:,|$)')


class Write(NamedTuple):
    """Bytes of a file."""

    file: int
    offset: int
    data: bytes


class Resize(NamedTuple):
    """A file is cut, or extended by zeros."""

    file: int
    size: int


class Link(NamedTuple):
    """A new file or folder gets its name."""

    folder: int
    name: str
    made: int
    is_folder: bool


class Unlink(NamedTuple):
    """A name goes."""

    folder: int
    name: str


class Rename(NamedTuple):
    """A name moves, in one step."""

    moved: int
    folder: int
    name: str
    to_folder: int
    to_name: str


class Sync(NamedTuple):
    """The content of a file, or the names in a folder, are on disk."""

    number: int
    since: int  # operations that had ended when it began: it covers those
    path: str  # below the folder, for people


class Told(NamedTuple):
    """What the process told of itself: a line."""

    line: str


Change = Write | Resize | Link | Unlink | Rename
Operation = Change | Sync | Told


def reason_against() -> str | None:
    """Return why nothing can be recorded here; None if it can."""
    if shutil.which("strace") is None:
        return "there is no strace: make ci-deps installs it"
    trial = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True)
    return trial.stderr.strip() or None


def record(command: Sequence[str], root: Path, *, told: Path) -> list[Operation]:
    """Run ``command``; return what it and its threads did below ``root``.

    Args:
        command: It writes no file through a memory map.
        root: An empty folder.
        told: A file outside it; each write into it is a line that the process tells.
    """
    with (trace := told.with_suffix(".strace")).open("wb") as file:
        run = subprocess.run(
            [*STRACE, "-o", file.name, *command],
            capture_output=True,
            text=True,
        )
    assert run.returncode == 0, run.stderr
    recorder = _Recorder(root, told)
    for name, arguments, result, began in _calls(trace, recorder.operations):
        recorder.add(name, arguments, result, began)
    return recorder.operations


def _calls(trace: Path, ended: Sequence[Operation]) -> Iterator[tuple[str, list[str], int, int]]:
    """Yield successful calls: name, arguments, result, operations that had ended before it."""
    waiting: dict[str, tuple[str, int]] = {}  # by thread: calls that others interrupt in the trace
    with trace.open(encoding="ascii") as lines:
        for line in lines:
            match = LINE.match(line.rstrip("\n"))
            assert match, line[:200]
            thread, text, began = match[1], match[2], len(ended)
            if unfinished := UNFINISHED.fullmatch(text):
                waiting[thread] = unfinished[1], began
                continue
            if resumed := RESUMED.fullmatch(text):
                start, began = waiting.pop(thread)
                text = start + resumed[2]
            if (call := CALL.match(text)) and int(call[3]) >= 0:
                yield call[1], _arguments(call[2]), int(call[3]), began


def _arguments(text: str) -> list[str]:
    """Return the arguments of a call. What strace shows in hexadecimal has no commas."""
    return [found[1] for found in ARGUMENT.finditer(text) if found[1]]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.strip('"').replace("\\x", ""))


class _Recorder:
    """Keeps track of names, as the kernel does."""

    def __init__(self, root: Path, told: Path) -> None:
        self.operations: list[Operation] = []
        self.root, self.told = str(root), str(told)
        self.numbers = {self.root: ROOT}  # by path, as of now
        self.sizes: dict[int, int] = {}  # of files, by number
        self.made = 0
        self.offsets: dict[str, int] = {}  # by descriptor
        self.appending: set[str] = set()

    def add(self, name: str, own: list[str], result: int, began: int) -> None:
        match name:
            case "openat":
                self._open(self._path(own[0], own[1]), own[2], str(result))
            case "write" | "pwrite64":
                self._write(own[0], _bytes(own[1])[:result], own[3] if len(own) > 3 else None)
            case "sendfile":
                self._copy(own, result)
            case "lseek":
                self.offsets[own[0].split("<")[0]] = result
            case "ftruncate":
                self._resize(self._number(own[0]), int(own[1]))
            case "fsync" | "fdatasync":
                if (number := self._number(own[0])) is not None:
                    path = self._path(own[0])[len(self.root) + 1 :]
                    self.operations.append(Sync(number, began, path))
            case "mkdir":
                self._link(self._path("", own[0]), is_folder=True)
            case "rename":
                self._rename(self._path("", own[0]), self._path("", own[1]))
            case "renameat" | "renameat2":
                self._rename(self._path(own[0], own[1]), self._path(own[2], own[3]))
            case "unlink" | "rmdir":
                self._unlink(self._path("", own[0]))
            case "unlinkat":
                self._unlink(self._path(own[0], own[1]))
            case _:
                text = "".join(own).replace("\\x", "")
                assert self.root.encode().hex() not in text, f"unknown: {name}({own})"

    def _path(self, descriptor: str, name: str = '""') -> str:
        """Return the path of a name beside a descriptor, or of the descriptor."""
        base = descriptor.partition("<")[2].rpartition(">")[0]
        return str(Path(_bytes(base).decode() or "/", _bytes(name).decode()))

    def _number(self, descriptor: str) -> int | None:
        return self.numbers.get(self._path(descriptor))

    def _parent(self, path: str) -> int | None:
        return self.numbers.get(str(Path(path).parent))

    def _open(self, path: str, flags: str, descriptor: str) -> None:
        self.offsets[descriptor] = 0
        self.appending.discard(descriptor)
        if "O_APPEND" in flags:
            self.appending.add(descriptor)
        if "O_CREAT" in flags and path not in self.numbers:
            self._link(path, is_folder=False)
        elif "O_TRUNC" in flags and (number := self.numbers.get(path)) is not None:
            self._resize(number, 0)

    def _link(self, path: str, *, is_folder: bool) -> None:
        if (folder := self._parent(path)) is None:
            return
        self.made += 1
        self.numbers[path] = self.made
        self.operations.append(Link(folder, Path(path).name, self.made, is_folder))

    def _unlink(self, path: str) -> None:
        if (folder := self._parent(path)) is not None:
            del self.numbers[path]
            self.operations.append(Unlink(folder, Path(path).name))

    def _rename(self, path: str, to: str) -> None:
        folder, to_folder = self._parent(path), self._parent(to)
        if folder is None:
            return
        assert to_folder is not None, f"{path} leaves the folder"
        for known in [own for own in self.numbers if Path(own).is_relative_to(path)]:
            self.numbers[to + known[len(path) :]] = self.numbers.pop(known)
        moved, names = self.numbers[to], (Path(path).name, to_folder, Path(to).name)
        self.operations.append(Rename(moved, folder, *names))

    def _write(self, descriptor: str, data: bytes, offset: str | None = None) -> None:
        handle, path = descriptor.split("<")[0], self._path(descriptor)
        if path == self.told:
            self.operations += [Told(line) for line in data.decode().splitlines()]
        if (number := self.numbers.get(path)) is None:
            return
        place = self.offsets.get(handle, 0) if offset is None else int(offset)
        if handle in self.appending:
            place = self.sizes.get(number, 0)
        if offset is None:
            self.offsets[handle] = place + len(data)
        self.sizes[number] = max(self.sizes.get(number, 0), place + len(data))
        self.operations.append(Write(number, place, data))

    def _copy(self, own: list[str], count: int) -> None:
        """Take what the kernel copied from another file, which nobody has changed since."""
        if count and self._number(own[0]) is not None:
            start = int(own[2].partition("]")[0].lstrip("["))  # [0] => [4]
            content = self._content(self._path(own[1]))
            self._write(own[0], content[start : start + count])

    def _content(self, path: str) -> bytes:
        if (number := self.numbers.get(path)) is None:
            return Path(path).read_bytes()
        content = bytearray()
        for own in self.operations:
            if isinstance(own, Write) and own.file == number:
                content[len(content) : own.offset] = bytes(max(0, own.offset - len(content)))
                content[own.offset : own.offset + len(own.data)] = own.data
        return bytes(content)

    def _resize(self, number: int | None, size: int) -> None:
        if number is not None:
            self.sizes[number] = size
            self.operations.append(Resize(number, size))
