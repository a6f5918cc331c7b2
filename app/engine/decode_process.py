"""A decode worker as its parent sees it, and the messages between the two.

Messages are JSON, never pickles: a worker that a hostile file took over cannot run code in the
parent. Each is one packet of a socket; a file to decode comes with its task as a descriptor.
"""

import logging
import mmap
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

from app.engine.sandbox import Sandbox
from model.config import FrozenModel
from model.errors import MediaError, MediaTooLarge
from model.media import Clip, DecodeConfig, open_media
from model.sampling import MAX_ASPECT

logger = logging.getLogger(__name__)

# Added to the time limit: for each MiB of a file, and at most for each second that is decoded. A
# second of film in 4K takes 1.5 s of processor time, and the processor may be shared.
SECONDS_PER_MIB, SECONDS_PER_STEP = 1.0, 10.0
START_SECONDS = 60.0  # for a worker to start: far more than it takes on a busy machine
GRACE_SECONDS = 1.0  # by which the kernel's time limit strikes before the parent's
EXTERNAL_SIGNALS = {"SIGKILL", "SIGTERM", "SIGHUP"}  # which no decoder raises itself
RETAINED_BYTES = 32 * 2**20  # of shared memory that a worker keeps between two files
MAX_MESSAGE_BYTES = 64 * 2**10
PROJECT = Path(__file__).parents[2]
WORKER = "app.engine.decode_worker"
# The only variables that a worker inherits: no credentials are among them.
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "LANG", "LC_ALL", "TZ")


class DecodeLimits(FrozenModel):
    """Limits of a worker, enforced by the kernel; the seconds also by the parent's clock."""

    memory_bytes: PositiveInt = 2 * 2**30  # beyond what the worker uses when it starts
    seconds: PositiveFloat = 30.0  # for a small file, of processor time and of wall time

    def seconds_for(self, num_bytes: int, max_steps: int) -> float:
        """Return the time for a file: it grows with the size, which a bomb lacks, up to a limit.

        Args:
            num_bytes: The size of the file.
            max_steps: The seconds of it that are decoded.
        """
        most = SECONDS_PER_STEP * max_steps
        return self.seconds + min(SECONDS_PER_MIB * num_bytes / 2**20, most)


class DecodeTask(FrozenModel):
    """One file to decode: the descriptor sent along, or ``size`` bytes from the arena's start."""

    config: DecodeConfig
    seconds: PositiveFloat
    size: NonNegativeInt = 0


class DecodeAnswer(FrozenModel):
    """Where the clip lies: frames from the start of the arena, then, aligned, the sound."""

    frames: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, Literal[3]] | None = None
    num_samples: NonNegativeInt | None = None
    duration_seconds: float | None = None
    error: Literal["MediaError", "MediaTooLarge", "memory", "unexpected"] | None = None
    message: str = ""
    sandbox: Sandbox | None = None  # in the first answer


def sound_offset(num_frame_bytes: int) -> int:
    """Return the offset of the sound behind ``num_frame_bytes`` of frames."""
    return -(-num_frame_bytes // 64) * 64


class WorkerDied(MediaError):
    """The worker died while decoding; the message is for the file's sender."""


class WorkerKilled(WorkerDied):
    """An external signal ended the worker while it was decoding: the OOM killer, or a person."""


class WorkerMissing(Exception):
    """The worker did not start; the message says how it ended."""


class DecodeProcess:
    """One worker process. Used by one thread at a time.

    The process starts in the background; ``wait_until_ready`` and ``decode`` wait for it. After
    ``WorkerDied`` or ``WorkerMissing`` it must be closed.

    Args:
        config: The largest clip that will be requested.
        limits: Limits for each file.
    """

    def __init__(self, config: DecodeConfig, limits: DecodeLimits) -> None:
        self.limits = limits
        largest = config.short_side * (config.short_side * MAX_ASPECT + 1) * 3  # bytes of a frame
        frames = config.max_steps * config.frames_per_step * largest
        # Sparse: only written pages take memory.
        self._capacity = sound_offset(frames) + 4 * config.max_steps * config.sample_rate
        self.sandbox: Sandbox | None = None  # what confines it; None until it is ready
        self._arena = os.memfd_create("srcid-media")
        self._shared = self._map(self._capacity)
        self._channel, worker_end = socket.socketpair(type=socket.SOCK_SEQPACKET)
        with worker_end:
            self._process = _start(worker_end.fileno(), self._arena)
        self._channel.send(_json(limits))

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process is running or starting."""
        return self._process.poll() is None

    def wait_until_ready(self) -> Sandbox:
        """Wait until the process has locked itself in; return what confines it.

        Raises:
            WorkerMissing: The worker did not start.
        """
        if self.sandbox is None:
            answer = self._answer(START_SECONDS)
            if answer is None or answer.sandbox is None:
                raise WorkerMissing(self._ending())
            self.sandbox = answer.sandbox
        return self.sandbox

    def decode(self, source: bytes | Path, config: DecodeConfig) -> Clip:
        """Return the clip in ``source``. Its arrays are overwritten by the next call.

        Raises:
            MediaError: See ``read_clip``.
            WorkerDied: The file crashed the worker, or exceeded the time or memory limit.
            WorkerKilled: An external signal ended the worker: retry with another.
            WorkerMissing: The worker did not start.
        """
        self.wait_until_ready()
        if isinstance(source, Path):
            with open_media(source) as file:
                size = os.fstat(file.fileno()).st_size
                seconds = self.limits.seconds_for(size, config.max_steps)
                self._send(DecodeTask(config=config, seconds=seconds), file.fileno())
        else:
            if len(source) > len(self._shared):
                self._shared = self._map(len(source))
            self._shared[: len(source)] = source
            seconds = self.limits.seconds_for(len(source), config.max_steps)
            self._send(DecodeTask(config=config, seconds=seconds, size=len(source)))
        answer = self._answer(seconds + GRACE_SECONDS)
        if answer is None:
            ending = self._ending()
            raise (WorkerKilled if ending in EXTERNAL_SIGNALS else WorkerDied)(
                self._message(ending, seconds)
            )
        return self._clip(answer, config.sample_rate)

    def trim(self) -> None:
        """Release shared memory after a large file."""
        if os.fstat(self._arena).st_blocks * 512 > RETAINED_BYTES:
            os.ftruncate(self._arena, 0)
            self._shared = self._map(self._capacity)

    def kill(self) -> None:
        """End the process. Thread-safe, also while another thread decodes."""
        self._process.kill()

    def close(self) -> None:
        """End the process and release its resources."""
        self.kill()
        self._process.wait()
        self._channel.close()
        os.close(self._arena)

    def _map(self, size: int) -> mmap.mmap:
        os.ftruncate(self._arena, size)
        return mmap.mmap(self._arena, size)

    def _send(self, task: DecodeTask, *descriptors: int) -> None:
        # Messages fit into the socket's buffer: sending never blocks, even if the worker hangs.
        try:
            socket.send_fds(self._channel, [_json(task)], descriptors)
        except OSError as error:  # it was killed while idle
            raise WorkerKilled(self._message(self._ending(), self.limits.seconds)) from error

    def _answer(self, seconds: float) -> DecodeAnswer | None:
        """Return the worker's answer; None if it has ended or does not answer in ``seconds``."""
        try:
            self._channel.settimeout(seconds)
            return DecodeAnswer.model_validate_json(self._channel.recv(MAX_MESSAGE_BYTES))
        except (OSError, ValidationError):  # an empty message: it has ended
            return None

    def _clip(self, answer: DecodeAnswer, sample_rate: int) -> Clip:
        if answer.error == "memory":
            raise WorkerDied(
                "decoding takes too much memory: send a smaller picture or clip, or raise "
                "SRCID_MAX_DECODE_MEMORY_BYTES"
            )
        if answer.error == "unexpected":
            logger.warning("cannot decode a file: %s", answer.message)
            raise MediaError("cannot decode this file: re-encode it and send it again")
        if answer.error is not None:
            kind = MediaTooLarge if answer.error == "MediaTooLarge" else MediaError
            raise kind(answer.message)
        frames = sound = None
        try:
            if answer.frames is not None:
                frames = np.ndarray(answer.frames, np.uint8, self._shared)
            if answer.num_samples is not None:
                offset = sound_offset(0 if frames is None else frames.nbytes)
                sound = np.ndarray((answer.num_samples,), np.float32, self._shared, offset)
        except (TypeError, ValueError) as error:  # larger than the arena
            raise WorkerDied("the decoder gave an invalid answer for this file") from error
        return Clip(frames, sound, answer.duration_seconds, sample_rate)

    def _message(self, ending: str, seconds: float) -> str:
        """Return why there is no answer, for the file's sender."""
        if ending in {"it hangs", "SIGXCPU"}:
            return (
                f"decoding takes over {seconds:.3g} seconds: send a shorter or smaller "
                "clip, or raise SRCID_MAX_DECODE_SECONDS"
            )
        return f"the decoder crashed on this file ({ending}): re-encode it and send it again"

    def _ending(self) -> str:
        try:
            code = self._process.wait(GRACE_SECONDS / 10)
        except subprocess.TimeoutExpired:
            return "it hangs"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _json(message: FrozenModel) -> bytes:
    return message.model_dump_json().encode()


def _start(channel: int, arena: int) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    environment |= {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        # -P: modules in the working directory are not imported.
        [sys.executable, "-P", "-m", WORKER, str(channel), str(arena)],
        pass_fds=(channel, arena),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,  # Ctrl-C reaches only the parent, which closes the channel
    )
