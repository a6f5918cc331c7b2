"""What a decode worker can do that a hostile file took over: nothing but answer."""

import io
import logging
import os
import platform
import shlex
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.engine import decode_process, sandbox
from app.engine.decode_pool import DecodePool
from app.engine.decode_process import DecodeLimits, DecodeProcess, WorkerDied
from app.engine.sandbox import Part, Sandbox, supported
from app.errors import EngineFailed
from app.telemetry.engine_observer import EngineObserver
from model.errors import MediaError
from model.media import DecodeConfig, read_clip
from tests.media_maker import colours, make_picture, make_sound, make_video, tone
from tests.running_server import PROJECT, WAIT

CONFIG = DecodeConfig(max_steps=4)
NOISE = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)
REFUSED = ("Permission", "not permitted", "not implemented")
SECCOMP = sandbox.MACHINES[platform.machine()].seccomp
CALLS: dict[Part, tuple[int, ...]] = {
    "landlock": (sandbox.LANDLOCK_CREATE_RULESET, sandbox.LANDLOCK_RESTRICT_SELF),
    "seccomp": (SECCOMP,),
}

pytestmark = pytest.mark.skipif(
    bool(supported().missing), reason=f"this kernel lacks {supported().missing}"
)

# What each part refuses, so that one that fails is not hidden by the other.
BOTH = {
    "open keys.json": "open(KEYS)",
    "write a file": "os.open(KEYS + '.new', os.O_CREAT | os.O_WRONLY)",
    "delete a file": "os.unlink(KEYS)",
    "list a folder": "os.listdir('/')",
    "run a program": "os.execv('/bin/true', ['true'])",
    "read the parent's environment": "open(f'/proc/{os.getppid()}/environ')",
    "read the parent's memory": "open(f'/proc/{os.getppid()}/mem', 'rb')",
    "trace the parent": "syscall(PTRACE, 16, os.getppid(), 0, 0)",
    "connect by TCP": "socket.socket().connect(TCP)",
    "listen on TCP": "socket.create_server(('127.0.0.1', 0))",
    "connect to an abstract socket": "socket.socket(socket.AF_UNIX).connect(ABSTRACT)",
    "signal the parent": "os.kill(os.getppid(), signal.SIGURG)",
    "signal a thread of the parent": "syscall(TGKILL, os.getppid(), os.getppid(), signal.SIGURG)",
}
ONLY_SECCOMP = {
    "look at a file": "os.stat(KEYS)",
    "change a file's mode": "os.chmod(KEYS, 0)",
    "send by UDP": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'secret', UDP)",
    "fork": "os.fork() or os._exit(0)",
    "start a program": "subprocess.Popen(['/bin/true'])",
    "make a process by clone": "syscall(CLONE, signal.SIGCHLD, 0, 0, 0, 0) or os._exit(0)",
    "leave the network's namespace": "syscall(CLONE, 0x40010900, 0, 0, 0, 0) or os._exit(0)",
    "make a process by clone3": "syscall(435, 0, 0)",
    "have the kernel signal the parent": "fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())",
    "change the parent's limits": "resource.prlimit(os.getppid(), resource.RLIMIT_CPU)",
    "change how it is traced": "syscall(PRCTL, 4, 1)",
    "shrink the arena under the parent": "os.ftruncate(int(sys.argv[2]), 0)",
    "make memory that no limit counts": "os.memfd_create('x')",
    "type into a terminal": "fcntl.ioctl(0, 0x5412, b'x')",
    "use io_uring": "syscall(425, 1, 0)",
    "copy a descriptor of the parent": "syscall(434, os.getppid(), 0)",
    "load a program into the kernel": "syscall(BPF, 0, 0, 0)",
    "call what is not there yet": "syscall(1000)",
}
NUMBERS = {
    "x86_64": {"PTRACE": 101, "TGKILL": 234, "CLONE": 56, "PRCTL": 157, "BPF": 321},
    "aarch64": {"PTRACE": 117, "TGKILL": 131, "CLONE": 220, "PRCTL": 167, "BPF": 280},
}[platform.machine()]

Obey = Callable[[str], str]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """What attacks name. That all of it can be reached is a test of its own."""
    keys = tmp_path_factory.mktemp("data") / "keys.json"
    keys.write_text("{}")
    abstract = f"\0srcid-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        udp.bind(("127.0.0.1", 0))
        unix.bind(abstract)
        unix.listen()
        addresses = {"TCP": tcp.getsockname(), "UDP": udp.getsockname(), "ABSTRACT": abstract}
        yield {"KEYS": str(keys)} | addresses | NUMBERS


@contextmanager
def lacking(*parts: Part, folder: Path) -> Iterator[None]:
    """Start workers on a kernel that lacks parts of the sandbox."""
    numbers = ",".join(str(number) for part in parts for number in CALLS[part])
    program = [sys.executable, str(Path(__file__).with_name("lesser_kernel.py"))]
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexec {shlex.join([*program, numbers, sys.executable])} "$@"\n')
    script.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        if parts:
            patch.setattr(sys, "executable", str(script))
        yield


@contextmanager
def obeying(names: dict[str, object], *missing: Part, folder: Path) -> Iterator[Obey]:
    """Run code in a worker that is locked in by ``main``, as each is."""
    with pytest.MonkeyPatch.context() as patch, lacking(*missing, folder=folder):
        patch.setattr(decode_process, "WORKER", "tests.app.engine.obedient_worker")
        process = DecodeProcess(CONFIG, DecodeLimits())
    setting = "".join(f"{name} = {value!r}\n" for name, value in names.items())

    def obey(code: str) -> str:
        with pytest.raises(MediaError) as told:
            process.decode((setting + textwrap.dedent(code)).encode(), CONFIG)
        if isinstance(told.value, WorkerDied):
            raise told.value
        return str(told.value)

    with closing(process):
        assert process.wait_until_ready().missing == [*missing]
        yield obey


@pytest.fixture(scope="module")
def obey(names: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Obey]:
    with obeying(names, folder=tmp_path_factory.mktemp("both")) as both:
        yield both


@pytest.fixture(scope="module")
def by_landlock(
    names: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Obey]:
    with obeying(names, "seccomp", folder=tmp_path_factory.mktemp("landlock")) as landlock:
        yield landlock


@pytest.fixture(scope="module")
def by_seccomp(
    names: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Obey]:
    with obeying(names, "landlock", folder=tmp_path_factory.mktemp("seccomp")) as seccomp:
        yield seccomp


def check_refused(told: str) -> None:
    assert any(word in told for word in REFUSED), told


@pytest.mark.parametrize("attack", BOTH | ONLY_SECCOMP)
def test_a_worker_that_was_taken_over_cannot(obey: Obey, attack: str) -> None:
    check_refused(obey((BOTH | ONLY_SECCOMP)[attack]))


@pytest.mark.parametrize("attack", BOTH)
def test_landlock_alone_refuses_to(by_landlock: Obey, attack: str) -> None:
    check_refused(by_landlock(BOTH[attack]))


@pytest.mark.parametrize("attack", BOTH | ONLY_SECCOMP)
def test_seccomp_alone_refuses_to(by_seccomp: Obey, attack: str) -> None:
    check_refused(by_seccomp((BOTH | ONLY_SECCOMP)[attack]))


def test_without_a_sandbox_the_same_attacks_succeed(
    names: dict[str, object], tmp_path: Path
) -> None:
    """Otherwise those tests would show nothing."""
    harmless = ["open keys.json", "list a folder", "connect by TCP", "signal the parent"]
    harmless += ["connect to an abstract socket", "read the parent's environment", "fork"]
    harmless += ["look at a file", "send by UDP", "change the parent's limits"]
    with obeying(names, "landlock", "seccomp", folder=tmp_path) as obey:
        for attack in harmless:
            assert obey((BOTH | ONLY_SECCOMP)[attack]) == "done", attack


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86_64 has a second table")
def test_a_call_by_the_numbers_of_i386_ends_the_worker(
    names: dict[str, object], tmp_path: Path
) -> None:
    with obeying(names, folder=tmp_path) as obey, pytest.raises(WorkerDied, match="SIG"):
        obey(
            """
            page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            page.write(bytes.fromhex("53b814000000cd805bc3"))  # getpid by int 0x80
            start = ctypes.addressof(ctypes.c_char.from_buffer(page))
            ctypes.CFUNCTYPE(ctypes.c_int)(start)()
            """
        )


def test_threads_and_clocks_work_and_a_crash_shows_its_signal(
    names: dict[str, object], tmp_path: Path
) -> None:
    with obeying(names, folder=tmp_path) as obey:
        told = obey(
            """
            thread = threading.Thread(target=time.sleep, args=[0.001])
            thread.start()
            thread.join()
            os.urandom(8)
            """
        )
        assert told == "done"
        with pytest.raises(WorkerDied, match="SIGABRT"):
            obey("os.abort()")


def test_a_worker_inherits_nothing(
    names: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    secret = os.open(str(names["KEYS"]), os.O_RDONLY)
    os.set_inheritable(secret, True)
    worker = DecodeProcess(CONFIG, DecodeLimits())
    with closing(worker):
        worker.wait_until_ready()
        process = Path(f"/proc/{worker.pid}")
        opened = sorted(str(path.readlink()).split(":")[0] for path in (process / "fd").iterdir())
        assert opened == ["/dev/null", "/dev/null", "/dev/null", "/memfd", "socket"]
        assert b"AWS" not in (process / "environ").read_bytes()
        status = (process / "status").read_text()
        assert "NoNewPrivs:\t1" in status
        assert "Seccomp:\t2" in status
        assert os.getpgid(worker.pid) == worker.pid
    os.close(secret)


def make_subtitles() -> bytes:
    """Return a film with subtitles, which PyAV has modules of its own for."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        picture = output.add_stream("libx264", rate=10)
        picture.height, picture.width, picture.pix_fmt = 64, 96, "yuv420p"
        subtitles = output.add_stream("ass")
        for pixels in colours(2):
            output.mux(picture.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(picture.encode())
        packet = av.Packet(b"0,0,Default,,0,0,0,,hello")
        packet.stream, packet.time_base = subtitles, Fraction(1, 1000)
        packet.pts = packet.dts = 0
        packet.duration = 1000
        output.mux(packet)
    return file.getvalue()


PICTURES = ("png", "jpeg", "webp", "gif", "bmp", "tiff", "avif")
FILMS = ("mp4", "mov", "mkv", "webm", "avi")
SOUNDS = ("wav", "mp3", "flac", "ogg")


def make(kind: str) -> bytes:
    """Return a file of a kind, with the encoders that there are."""
    if kind in PICTURES:
        return make_picture(NOISE, kind)
    if kind in SOUNDS:
        return make_sound(tone(2, 48_000), 48_000, kind)
    if kind == "subtitles":
        return make_subtitles()
    return make_video(colours(2), audio=tone(2, 48_000), rate=48_000, container=kind)


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with closing(made_pool(requires_sandbox=True)) as made:
        yield made


def made_pool(*, requires_sandbox: bool = False) -> DecodePool:
    return DecodePool(
        1,
        config=CONFIG,
        limits=DecodeLimits(),
        observer=EngineObserver(),
        requires_sandbox=requires_sandbox,
    )


@pytest.mark.parametrize("kind", [*PICTURES, *FILMS, *SOUNDS, "subtitles"])
def test_a_locked_in_worker_decodes_as_ever(pool: DecodePool, kind: str, tmp_path: Path) -> None:
    media, path = make(kind), tmp_path / "media"
    path.write_bytes(media)
    expected = read_clip(media, CONFIG)
    for source in (media, path):
        with pool.decoded(source) as clip:
            assert clip.duration_seconds == expected.duration_seconds
            for ours, theirs in zip(clip[:2], expected[:2], strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_what_cannot_be_opened_is_told(pool: DecodePool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "pipe"):
        with pytest.raises(MediaError, match="cannot read the file"), pool.decoded(path):
            pass


@pytest.mark.parametrize("part", ["landlock", "seccomp"])
def test_where_the_kernel_lacks_a_part_auto_decodes_and_says_so(
    part: Part, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with lacking(part, folder=tmp_path), closing(made_pool()) as pool:
        assert pool.sandbox is None
        pool.wait_until_ready()
        with pool.decoded(make("mp4")) as clip:
            assert clip.frames is not None
        assert pool.sandbox is not None
        assert pool.sandbox.missing == [part]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert f"not confined by {part}" in caplog.text
    assert "SRCID_DECODE_SANDBOX" in caplog.text


@pytest.mark.parametrize("part", ["landlock", "seccomp"])
def test_where_a_worker_lacks_a_part_required_decodes_nothing(part: Part, tmp_path: Path) -> None:
    with lacking(part, folder=tmp_path), closing(made_pool(requires_sandbox=True)) as pool:
        with pytest.raises(EngineFailed, match=part), pool.decoded(make("png")):
            pass
        assert pool.failure is not None


@pytest.mark.parametrize(
    ("part", "command"), [("landlock", "serve --port 0"), ("seccomp", "index .")]
)
def test_where_the_kernel_lacks_a_part_required_does_not_start(
    part: Part, command: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(make("png"))
    options = ["--checkpoint", str(tiny_checkpoint), "--data-dir", str(tmp_path / "data")]
    with lacking(part, folder=tmp_path):
        ran = subprocess.run(
            [sys.executable, "-m", "app", *command.split(), *options],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=WAIT,
            env=os.environ | {"SRCID_DECODE_SANDBOX": "required", "PYTHONPATH": str(PROJECT)},
        )
    assert ran.returncode != 0
    assert f"SRCID_DECODE_SANDBOX is required, but this kernel or container lacks {part}" in (
        ran.stderr
    )


def test_the_numbers_of_both_machines_make_a_filter() -> None:
    """Jumps of BPF reach 255 instructions, and a filter holds 4096."""
    for machine in sandbox.MACHINES.values():
        assert 0 < len(sandbox._program(machine)) // 8 < 4096
    columns = zip(*sandbox.ALLOWED.values(), strict=True)
    assert all(len(set(column)) == len(sandbox.ALLOWED) for column in columns)


def test_a_sandbox_names_its_parts() -> None:
    lesser = Sandbox(landlock=False, seccomp=True)
    assert (lesser.parts, lesser.missing) == (["seccomp"], ["landlock"])
