"""The parent's side of one decode worker."""

import logging
import mmap
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from app.engine.decode_messages import Answer, DecodeLimits, Task, sound_offset
from model.config import FrozenModel
from model.errors import MediaError, MediaTooLarge
from model.media import SAMPLE_RATE, Clip, DecodeConfig
from model.sampling import MAX_ASPECT

logger = logging.getLogger(__name__)

START_SECONDS = 60.0  # for a worker to be there: far more than it takes on a busy machine
GRACE_SECONDS = 1.0  # that the kernel's limit has to strike before the clock's does
BY_OTHERS = {"SIGKILL", "SIGTERM", "SIGHUP"}  # signals that no decoder raises itself
KEPT_BYTES = 32 * 2**20  # of shared memory that a worker keeps between two files
PROJECT = Path(__file__).parents[2]


class WorkerDied(MediaError):
    """The worker broke down on a file; the message is for who sent it."""


class WorkerKilled(WorkerDied):
    """Somebody ended the worker at its work: the kernel for want of memory, or a person."""


class WorkerMissing(Exception):
    """The worker did not start; the message says how it ended."""


class Decoder:
    """One worker process. Used by one thread at a time.

    The process starts in the background; ``decode`` waits for it. After ``WorkerDied`` or
    ``WorkerMissing`` it is of no more use.

    Args:
        config: The largest clip that will be asked for.
        limits: What one file may cost.
    """

    def __init__(self, config: DecodeConfig, limits: DecodeLimits) -> None:
        self.limits = limits
        largest = config.short_side * (config.short_side * MAX_ASPECT + 1) * 3  # bytes of a frame
        frames = config.max_steps * config.frames_per_step * largest
        # Sparse: only what is written takes memory.
        self._capacity = sound_offset(frames) + 4 * config.max_steps * SAMPLE_RATE
        self._is_ready = False
        self._arena = os.memfd_create("srcid-media")
        self._shared = self._map(self._capacity)
        own, theirs = socket.socketpair()
        with theirs:
            self._process = _start(theirs.fileno(), self._arena)
        self._channel = Connection(own.detach())
        self._channel.send_bytes(_json(limits))

    @property
    def pid(self) -> int:
        """The process id of the worker."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs, or still starts."""
        return self._process.poll() is None

    def decode(self, source: bytes | Path, config: DecodeConfig) -> Clip:
        """Return the clip in ``source``. Its arrays are overwritten by the next call.

        Raises:
            MediaError: As ``read_clip`` does.
            WorkerDied: The file broke the worker, or took too much time or memory.
            WorkerKilled: Nothing that a file does ends a worker in this way.
            WorkerMissing: There is no worker.
        """
        if not self._is_ready:
            if self._answer(START_SECONDS) is None:
                raise WorkerMissing(self._ending())
            self._is_ready = True
        # Messages fit into the socket's buffer: sending never waits, not for a hung worker either.
        try:
            self._channel.send_bytes(_json(self._task(source, config)))
        except OSError as error:
            raise WorkerMissing(self._ending()) from error
        answer = self._answer(self.limits.seconds + GRACE_SECONDS)
        if answer is None:
            ending = self._ending()
            raise (WorkerKilled if ending in BY_OTHERS else WorkerDied)(self._sentence(ending))
        return self._clip(answer)

    def trim(self) -> None:
        """Give shared memory back where the last file took much of it."""
        if os.fstat(self._arena).st_blocks * 512 > KEPT_BYTES:
            os.ftruncate(self._arena, 0)
            self._shared = self._map(self._capacity)

    def kill(self) -> None:
        """End the process. May be called from any thread, while another decodes."""
        self._process.kill()

    def close(self) -> None:
        """End the process and free what belonged to it."""
        self.kill()
        self._process.wait()
        self._channel.close()
        os.close(self._arena)

    def _map(self, size: int) -> mmap.mmap:
        os.ftruncate(self._arena, size)
        return mmap.mmap(self._arena, size)

    def _task(self, source: bytes | Path, config: DecodeConfig) -> Task:
        if isinstance(source, Path):
            return Task(config=config, path_hex=os.fsencode(source.absolute()).hex())
        if len(source) > len(self._shared):
            self._shared = self._map(len(source))
        self._shared[: len(source)] = source
        return Task(config=config, size=len(source))

    def _answer(self, seconds: float) -> Answer | None:
        """Return what the worker says within ``seconds``; None: it has ended, or hangs."""
        try:
            if not self._channel.poll(seconds):
                return None
            return Answer.model_validate_json(self._channel.recv_bytes())
        except (EOFError, OSError, ValidationError):
            return None

    def _clip(self, answer: Answer) -> Clip:
        if answer.error == "memory":
            raise WorkerDied("decoding takes too much memory: send a smaller picture or clip")
        if answer.error == "unexpected":
            logger.warning("a file that the decoders choke on: %s", answer.message)
            raise MediaError("the decoders choke on this file: convert it, and send it again")
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
        except (TypeError, ValueError) as error:  # more than there is room for
            raise WorkerDied("the decoders answer what cannot be on this file") from error
        return Clip(frames, sound, answer.duration_seconds)

    def _sentence(self, ending: str) -> str:
        """Tell whoever sent the file why there is no answer."""
        if ending in {"it hangs", "SIGXCPU"}:
            return (
                f"decoding takes over {self.limits.seconds:g} seconds: send a shorter or smaller "
                "clip, or raise SRCID_MAX_DECODE_SECONDS"
            )
        return f"the decoder broke down on this file ({ending}): convert it, and send it again"

    def _ending(self) -> str:
        try:
            code = self._process.wait(GRACE_SECONDS / 10)
        except subprocess.TimeoutExpired:
            return "it hangs"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _json(message: FrozenModel) -> bytes:
    return message.model_dump_json().encode()


def _start(channel: int, arena: int) -> subprocess.Popen[bytes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SRCID_")}
    environment |= {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        # -P: what lies in the working directory is not imported.
        [sys.executable, "-P", "-m", "app.engine.decode_worker", str(channel), str(arena)],
        pass_fds=(channel, arena),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,  # Ctrl-C is for the parent, which then closes the channel
    )
