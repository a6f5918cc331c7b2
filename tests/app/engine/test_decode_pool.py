"""Worker processes that decode: what breaks one, and that it breaks nothing else."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from app.engine import decode_process
from app.engine.decode_pool import DecodePool
from app.engine.decode_process import GRACE_SECONDS, DecodeAnswer, DecodeLimits, DecodeProcess
from app.errors import EngineFailed
from app.telemetry.engine_observer import EngineObserver, Part
from model.errors import MediaError, MediaTooLarge
from model.media import DecodeConfig, read_clip
from tests.media_maker import colours, make_picture, make_video, tone

MakePool = Callable[..., DecodePool]
CONFIG = DecodeConfig(max_steps=4)


class Counting(EngineObserver):
    def __init__(self) -> None:
        self.num_decoded = 0
        self.replaced: list[str] = []

    def decoded(self, seconds: float) -> None:
        assert seconds > 0
        self.num_decoded += 1

    def restarted(self, part: Part) -> None:
        self.replaced.append(part)


@pytest.fixture
def observer() -> Counting:
    return Counting()


@pytest.fixture
def make_pool(observer: Counting) -> Iterator[MakePool]:
    made = []

    def make(size: int = 1, *, config: DecodeConfig = CONFIG, **limits: float) -> DecodePool:
        pool = DecodePool(
            size, config=config, limits=DecodeLimits.model_validate(limits), observer=observer
        )
        made.append(pool)
        return pool

    yield make
    for pool in made:
        pool.close()


def warmed(pool: DecodePool, picture: bytes) -> int:
    """Let the only worker of ``pool`` start; return its process id."""
    with pool.decoded(picture):
        pass
    (pid,) = pool.pids
    return pid


def test_a_worker_decodes_what_the_process_itself_would(make_pool: MakePool, clip: bytes) -> None:
    expected = read_clip(clip, CONFIG)
    assert expected.frames is not None
    assert expected.waveform is not None
    with make_pool().decoded(clip) as decoded:
        np.testing.assert_array_equal(decoded.frames, expected.frames)
        np.testing.assert_array_equal(decoded.waveform, expected.waveform)
        assert decoded.duration_seconds == expected.duration_seconds


def test_a_path_is_read_by_the_worker(make_pool: MakePool, sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "n\udcffme.wav"  # a name that is no Unicode
    path.write_bytes(sound)
    with make_pool().decoded(path) as decoded:
        np.testing.assert_array_equal(decoded.waveform, read_clip(sound, CONFIG).waveform)
        assert decoded.frames is None


def test_a_path_is_seen_from_where_the_process_is_now(
    make_pool: MakePool,
    sound: bytes,
    picture: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = make_pool()
    warmed(pool, picture)  # the worker stays where it was started
    monkeypatch.chdir(tmp_path)
    Path("a.wav").write_bytes(sound)
    with pool.decoded(Path("a.wav")) as decoded:
        np.testing.assert_array_equal(decoded.waveform, read_clip(sound, CONFIG).waveform)


def test_less_can_be_asked_for(make_pool: MakePool, clip: bytes) -> None:
    config = CONFIG.model_copy(update={"max_steps": 1, "short_side": 32})
    with make_pool().decoded(clip, config) as decoded:
        assert decoded.frames is not None
        assert decoded.frames.shape == (1, 1, 32, 48, 3)


def test_media_larger_than_any_clip_fits_through(make_pool: MakePool) -> None:
    config = CONFIG.model_copy(update={"max_steps": 1, "short_side": 8})
    pixels = np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8)
    picture = make_picture(pixels)
    with make_pool(config=config).decoded(picture) as decoded:
        assert len(picture) > 250_000
        np.testing.assert_array_equal(decoded.frames, read_clip(picture, config).frames)


def test_what_is_wrong_with_a_file_is_told_as_ever(make_pool: MakePool, clip: bytes) -> None:
    pool = make_pool()
    for source in (b"", b"nonsense"):
        with pytest.raises(MediaError) as expected:
            read_clip(source, CONFIG)
        with pytest.raises(MediaError) as decoded, pool.decoded(source):
            pass
        assert str(decoded.value) == str(expected.value)
    config = CONFIG.model_copy(update={"max_seconds": 1})
    with (
        pytest.raises(MediaTooLarge, match=r"3\.0 seconds, of at most 1"),
        pool.decoded(clip, config),
    ):
        pass


def test_workers_never_import_torch(make_pool: MakePool, clip: bytes) -> None:
    names = "import app.engine.decode_worker, sys; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", names], capture_output=True, text=True)
    assert ran.stdout.strip() == "False", ran.stderr
    pool = make_pool()
    with pool.decoded(clip):
        (pid,) = pool.pids
        assert "torch" not in Path(f"/proc/{pid}/maps").read_text()


def test_a_worker_may_write_no_file_and_has_an_end_of_memory(
    make_pool: MakePool, picture: bytes
) -> None:
    pid = warmed(make_pool(memory_bytes=2**28), picture)
    text = Path(f"/proc/{pid}/limits").read_text()
    limits = {line[:25].strip(): line[25:].split()[0] for line in text.splitlines()[1:]}
    assert limits["Max file size"] == "0"
    assert limits["Max core file size"] == "0"
    assert limits["Max open files"] == "64"
    assert 2**28 < int(limits["Max address space"]) < 2**31
    assert int(limits["Max cpu time"]) <= 60


def test_a_worker_knows_no_setting_and_hears_no_ctrl_c(
    make_pool: MakePool, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hostile file that takes it over finds no secret, such as SRCID_STORE_TOKEN."""
    monkeypatch.setenv("SRCID_STORE_TOKEN", "root:secret")
    pid = warmed(make_pool(), picture)
    assert b"SRCID_" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert os.getsid(pid) == pid


def test_a_picture_that_takes_too_much_memory_fails_alone(
    make_pool: MakePool, picture: bytes, observer: Counting
) -> None:
    bomb = make_picture(np.zeros((6000, 6000, 3), np.uint8))
    pool = make_pool(memory_bytes=48 * 2**20)
    before = warmed(pool, picture)
    with pytest.raises(MediaError, match="too much memory"), pool.decoded(bomb):
        pass
    assert warmed(pool, picture) != before
    assert observer.replaced == ["decoder"]


def test_a_file_that_hangs_its_worker_fails_after_the_time_limit(
    make_pool: MakePool, picture: bytes
) -> None:
    pool = make_pool(seconds=0.1)
    pid = warmed(pool, picture)
    stop(pid)
    message = r"over 0\.1 seconds.*SRCID_MAX_DECODE_SECONDS"
    with pytest.raises(MediaError, match=message), pool.decoded(picture):
        pass
    assert warmed(pool, picture) != pid
    assert not Path(f"/proc/{pid}").exists()


def test_the_time_limit_grows_with_the_file_up_to_what_its_seconds_may_take() -> None:
    limits = DecodeLimits(seconds=30)
    mib = 2**20
    assert limits.seconds_for(0, 60) == 30
    assert limits.seconds_for(375 * mib, 60) == 405  # a minute of film at 50 Mbit a second
    assert limits.seconds_for(2048 * mib, 60) == 630
    assert limits.seconds_for(2048 * mib, 1) == 40


def test_a_larger_file_gets_more_time(make_pool: MakePool, picture: bytes, tmp_path: Path) -> None:
    """A picture is a whole one, whatever follows it: here more than the time without it allows."""
    pool = make_pool(seconds=0.1)
    (large := tmp_path / "large.png").write_bytes(picture + bytes(8 * 2**20))
    pid = warmed(pool, picture)
    for source in (large.read_bytes(), large):
        stop(pid)
        threading.Timer(0.1 + GRACE_SECONDS + 0.5, os.kill, (pid, signal.SIGCONT)).start()
        with pool.decoded(source) as clip:
            assert clip.frames is not None
    assert warmed(pool, picture) == pid


def test_processor_time_is_limited_by_the_kernel() -> None:
    code = (
        "from app.engine.decode_worker import allow_processor_seconds\n"
        "allow_processor_seconds(0.1)\n"
        "while True: pass"
    )
    ran = subprocess.run([sys.executable, "-c", code], timeout=60)
    assert ran.returncode == -signal.SIGXCPU


@pytest.mark.parametrize("fatal", [signal.SIGSEGV, signal.SIGABRT])
def test_a_file_that_crashes_its_worker_fails_alone(
    make_pool: MakePool, picture: bytes, observer: Counting, fatal: signal.Signals
) -> None:
    pool = make_pool()
    pid = warmed(pool, picture)
    stop(pid)  # so that it dies with the file in its hands
    with ThreadPoolExecutor(1) as executor:
        poisoned = executor.submit(warmed, pool, picture)
        end_at_work(pool, pid, fatal)
        with pytest.raises(MediaError, match=f"crashed on this file .{fatal.name}"):
            poisoned.result()
    for _ in range(100):
        warmed(pool, picture)
    assert observer.replaced == ["decoder"]


@pytest.mark.parametrize("fatal", [signal.SIGKILL, signal.SIGTERM])
def test_a_file_whose_worker_is_killed_by_somebody_else_is_tried_once_more(
    make_pool: MakePool, picture: bytes, observer: Counting, fatal: signal.Signals
) -> None:
    pool = make_pool()
    pid = warmed(pool, picture)
    stop(pid)
    with ThreadPoolExecutor(1) as executor:
        decoded = executor.submit(warmed, pool, picture)
        end_at_work(pool, pid, fatal)
        assert decoded.result() != pid
    assert observer.replaced == ["decoder"]


def test_a_file_that_two_workers_die_of_is_refused(
    make_pool: MakePool, picture: bytes, observer: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The OOM killer sends SIGKILL, which cannot be told from anybody else's."""
    pool = make_pool()
    warmed(pool, picture)
    answer = DecodeProcess._answer

    def killed(self: DecodeProcess, seconds: float) -> object:
        kill(self.pid) if self.sandbox else None
        return None if self.sandbox else answer(self, seconds)

    with monkeypatch.context() as patch:
        patch.setattr(DecodeProcess, "_answer", killed)
        with pytest.raises(MediaError, match=r"crashed on this file .SIGKILL"):
            warmed(pool, picture)
    assert observer.replaced == ["decoder", "decoder"]
    warmed(pool, picture)


def test_a_worker_that_answers_more_than_the_shared_memory_holds_is_replaced(
    make_pool: MakePool, picture: bytes, observer: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hostile file may have taken it over."""
    pool = make_pool()
    for answer in (
        DecodeAnswer(frames=(10**6, 1, 10**4, 10**4, 3)),
        DecodeAnswer(num_samples=10**19),
    ):
        warmed(pool, picture)
        with monkeypatch.context() as patch:
            patch.setattr(DecodeProcess, "_answer", lambda *_, answer=answer: answer)
            with pytest.raises(MediaError, match="invalid answer"), pool.decoded(picture):
                pass
    assert observer.replaced == ["decoder", "decoder"]


def test_closing_ends_a_decoding_in_progress(make_pool: MakePool, picture: bytes) -> None:
    pool = make_pool(seconds=600)
    stop(warmed(pool, picture))
    with ThreadPoolExecutor(1) as executor:
        decoding = executor.submit(warmed, pool, picture)
        while not is_sent(pool):
            time.sleep(0.001)
        pool.close()
        with pytest.raises(EngineFailed, match="is stopping"):
            decoding.result(60)
    assert pool.pids == []


def test_a_worker_that_dies_before_it_gets_its_file_harms_nobody(
    make_pool: MakePool, picture: bytes, observer: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the check that it is alive and the file."""
    pool = make_pool()
    pid = warmed(pool, picture)
    monkeypatch.setattr(DecodeProcess, "is_alive", True)
    kill(pid)
    assert warmed(pool, picture) != pid
    assert pool.failure is None
    assert observer.replaced == ["decoder"]


def test_a_worker_that_dies_idle_harms_nobody(
    make_pool: MakePool, picture: bytes, observer: Counting
) -> None:
    pool = make_pool()
    pid = warmed(pool, picture)
    kill(pid)
    assert warmed(pool, picture) != pid
    assert observer.replaced == ["decoder"]


def test_no_more_are_decoded_at_once_than_there_are_workers(
    make_pool: MakePool, picture: bytes
) -> None:
    pool = make_pool(2)
    pool.start()
    lent = threading.Semaphore(2)

    def decode(_: int) -> None:
        with pool.decoded(picture):
            assert lent.acquire(blocking=False)
            assert len(pool.pids) <= 2
            lent.release()

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(decode, range(32)))


def test_memory_that_a_large_clip_took_is_given_back(make_pool: MakePool) -> None:
    pool = make_pool(config=CONFIG.model_copy(update={"short_side": 2000}))
    large = make_video(colours(2))
    with pool.decoded(large) as clip:
        assert clip.frames is not None
        assert clip.frames.nbytes > decode_process.RETAINED_BYTES
        (worker,) = pool._leased
        assert os.fstat(worker._arena).st_blocks * 512 > decode_process.RETAINED_BYTES
    assert os.fstat(worker._arena).st_blocks == 0
    with pool.decoded(large) as again:
        np.testing.assert_array_equal(again.frames, clip.frames)


def fds() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_many_files_leave_a_worker_no_larger(make_pool: MakePool) -> None:
    """Decoders refer to themselves, so what they hold stays until the collector comes by."""
    pool = make_pool()
    video = make_video(colours(1, fps=25, size=(240, 320)), fps=25, audio=tone(1))

    def decode(times: int) -> int:
        for _ in range(times):
            with pool.decoded(video):
                pass
        return heap_of(pool.pids[0])

    small = decode(10)
    assert decode(150) - small < 4 * 2**20


def heap_of(pid: int) -> int:
    """Return the bytes of a process's heap that are in memory."""
    lines = iter(Path(f"/proc/{pid}/smaps").read_text().splitlines())
    for line in lines:
        if line.endswith("[heap]"):
            return next(int(field.split()[1]) * 1024 for field in lines if field.startswith("Rss:"))
    return 0


def test_nothing_is_left_behind(make_pool: MakePool, picture: bytes) -> None:
    before = fds()
    pool = make_pool(2)
    pool.start()
    for _ in range(3):
        with pool.decoded(picture):
            pid = next(worker.pid for worker in pool._leased)
        kill(pid)
    pids = pool.pids
    pool.close()
    assert pool.pids == []
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert fds() == before
    with pytest.raises(EngineFailed, match="is stopping"), pool.decoded(picture):
        pass


def is_sent(pool: DecodePool) -> bool:
    """Whether a message lies in the socket of the one worker that is at work."""
    for worker in tuple(pool._leased):
        count = fcntl.ioctl(worker._channel.fileno(), termios.TIOCOUTQ, bytes(4))
        return any(count)
    return False


def end_at_work(pool: DecodePool, pid: int, fatal: signal.Signals) -> None:
    """Send ``fatal`` to a stopped worker that has been given a file."""
    while not is_sent(pool):
        time.sleep(0.001)
    os.kill(pid, fatal)
    os.kill(pid, signal.SIGCONT)


def stop(pid: int) -> None:
    """Return once the worker stands still: while it is about to, it may still take a message."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_workers_that_do_not_start_are_told_of(
    make_pool: MakePool, picture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool()
    with monkeypatch.context() as patch:
        patch.setattr(decode_process, "PROJECT", Path("/nowhere"))
        patch.setenv("PYTHONHOME", "/nowhere")
        with pytest.raises(EngineFailed, match="do not start"), pool.decoded(picture):
            pass
        assert pool.failure is not None
        assert "do not start" in pool.failure
        (broken,) = pool._idle
        broken._process.wait()
    warmed(pool, picture)
    assert pool.failure is None


def test_a_worker_decodes_at_the_rate_and_in_the_size_that_is_asked_for(
    make_pool: MakePool,
) -> None:
    """Sound at 48 kHz takes three times the room of the default; it must fit."""
    config = DecodeConfig(max_steps=4, sample_rate=48_000, short_side=32, is_squashed=True)
    data = make_video(colours(4), 1, tone(4.0))
    with make_pool(config=config).decoded(data) as clip:
        expected = read_clip(data, config)
        assert clip.sample_rate == expected.sample_rate == 48_000
        np.testing.assert_array_equal(clip.waveform, expected.waveform)
        np.testing.assert_array_equal(clip.frames, expected.frames)
