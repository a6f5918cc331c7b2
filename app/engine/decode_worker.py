"""A sandboxed process that only decodes media: a hostile file can break nothing else.

    python -P -m app.engine.decode_worker CHANNEL ARENA

It never imports torch, so it starts in a fraction of a second and stays small. Messages use the
socket CHANNEL; media and decoded clips use ARENA, memory that it shares with the parent. Before it
sees the first byte of media it locks itself in (``sandbox``): it can open no file, so the parent
sends descriptors of those to decode. It exits with the parent.
"""

import gc
import math
import mmap
import os
import resource
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from app.engine import sandbox
from app.engine.decode_process import (
    MAX_MESSAGE_BYTES,
    DecodeAnswer,
    DecodeLimits,
    DecodeTask,
    sound_offset,
)
from model.errors import MediaError, MediaTooLarge
from model.media import Clip, load_plugins, read_clip

MAX_OPEN_FILES = 64
MAX_ERROR_CHARACTERS = 4000
STDERR = 2


def main() -> None:
    """Decode the parent's tasks until it closes the channel.

    The first message holds the limits. The first answer confirms that they are in force, and
    tells which parts of the sandbox are.
    """
    channel, arena = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    limits = DecodeLimits.model_validate_json(channel.recv(MAX_MESSAGE_BYTES))
    load_plugins()
    gc.collect()
    gc.freeze()  # collections after each file then skip the loaded modules
    restrict(limits)
    # Errors were shown until here; a hostile file must not write into the server's log.
    with Path(os.devnull).open("wb") as null:
        os.dup2(null.fileno(), STDERR)
    answer = DecodeAnswer(sandbox=sandbox.enter())
    while True:
        with suppress(ConnectionError):  # the parent has closed it: the next task is empty
            os.write(channel.fileno(), answer.model_dump_json().encode())
        gc.collect()  # decoders are reference cycles and would keep their frames
        if answer.error == "memory":  # the heap is too fragmented for the next file
            return
        message, descriptor = receive(channel)
        if not message:
            return
        task = DecodeTask.model_validate_json(message)
        allow_processor_seconds(task.seconds)
        if descriptor is None:
            answer = decode(_media(arena, task.size), task, arena)
        else:
            with os.fdopen(descriptor, "rb") as file:
                answer = decode(file, task, arena)


def receive(channel: socket.socket) -> tuple[bytes, int | None]:
    """Return the next message and the descriptor that came with it; empty at the end."""
    try:
        message, ancillary, _, _ = channel.recvmsg(MAX_MESSAGE_BYTES, socket.CMSG_SPACE(4))
    except ConnectionError:
        return b"", None
    return message, next((int.from_bytes(data, sys.byteorder) for _, _, data in ancillary), None)


def decode(source: bytes | BinaryIO, task: DecodeTask, arena: int) -> DecodeAnswer:
    """Decode one file into the arena; return where the clip lies, or the error."""
    try:
        return _write(read_clip(source, task.config), arena)
    except MediaTooLarge as error:
        return DecodeAnswer(error="MediaTooLarge", message=str(error)[:MAX_ERROR_CHARACTERS])
    except MediaError as error:
        return DecodeAnswer(error="MediaError", message=str(error)[:MAX_ERROR_CHARACTERS])
    except MemoryError:
        return DecodeAnswer(error="memory")
    except Exception as error:  # a decoder bug; the next file is not affected
        message = f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARACTERS]
        return DecodeAnswer(error="unexpected", message=message)


def restrict(limits: DecodeLimits) -> None:
    """Forbid this process to write files, dump core, or use memory beyond ``limits``."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for kind, limit in (
        (resource.RLIMIT_AS, used + limits.memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
    ):
        resource.setrlimit(kind, (limit, limit))


def allow_processor_seconds(seconds: float) -> None:
    """Limit the processor time of this process to ``seconds`` more; the kernel enforces it."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    until = math.ceil(spent.ru_utime + spent.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _media(arena: int, size: int) -> bytes:
    if not size:
        return b""
    with mmap.mmap(arena, size, prot=mmap.PROT_READ) as shared:
        return shared[:]


def _write(clip: Clip, arena: int) -> DecodeAnswer:
    frames = np.empty(0, np.uint8) if clip.frames is None else clip.frames
    sound = np.empty(0, np.float32) if clip.waveform is None else clip.waveform
    offset = sound_offset(frames.nbytes)
    with mmap.mmap(arena, max(1, offset + sound.nbytes)) as shared:
        np.ndarray(frames.shape, frames.dtype, shared)[...] = frames
        np.ndarray(sound.shape, sound.dtype, shared, offset)[...] = sound
    return DecodeAnswer(
        frames=None if clip.frames is None else clip.frames.shape,
        num_samples=None if clip.waveform is None else len(clip.waveform),
        duration_seconds=clip.duration_seconds,
    )


if __name__ == "__main__":
    main()
