"""A sandboxed process that only decodes media: a hostile file can break nothing else.

    python -P -m app.engine.decode_worker CHANNEL ARENA

It never imports torch, so it starts in a fraction of a second and stays small. Messages use the
socket CHANNEL; media and decoded clips use ARENA, memory that it shares with the parent. It cannot
write files, and it exits with the parent.
"""

import gc
import math
import mmap
import os
import resource
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from app.engine.decode_process import DecodeAnswer, DecodeLimits, DecodeTask, sound_offset
from model.errors import MediaError, MediaTooLarge
from model.media import Clip, read_clip

MAX_OPEN_FILES = 64


def main() -> None:
    """Decode the parent's tasks until it closes the channel.

    The first message holds the limits; an empty first answer confirms that they are in force.
    """
    channel, arena = Connection(int(sys.argv[1])), int(sys.argv[2])
    limits = DecodeLimits.model_validate_json(channel.recv_bytes())
    restrict(limits)
    gc.collect()
    gc.freeze()  # collections after each file then skip the loaded modules
    answer = DecodeAnswer()
    while True:
        channel.send_bytes(answer.model_dump_json().encode())
        gc.collect()  # decoders are reference cycles and would keep their frames
        if answer.error == "memory":  # the heap is too fragmented for the next file
            return
        try:
            task = DecodeTask.model_validate_json(channel.recv_bytes())
        except (EOFError, ConnectionError):
            return
        allow_processor_seconds(limits.seconds)
        answer = decode(task, arena)


def decode(task: DecodeTask, arena: int) -> DecodeAnswer:
    """Decode one file into the arena; return where the clip lies, or the error."""
    try:
        return _write(read_clip(_source(task, arena), task.config), arena)
    except MediaTooLarge as error:
        return DecodeAnswer(error="MediaTooLarge", message=str(error))
    except MediaError as error:
        return DecodeAnswer(error="MediaError", message=str(error))
    except MemoryError:
        return DecodeAnswer(error="memory")
    except Exception as error:  # a decoder bug; the next file is not affected
        return DecodeAnswer(error="unexpected", message=f"{type(error).__name__}: {error}")


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
    """Have the kernel end this process after ``seconds`` more of processor time."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    until = math.ceil(spent.ru_utime + spent.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _source(task: DecodeTask, arena: int) -> bytes | Path:
    if task.path_hex is not None:
        return Path(os.fsdecode(bytes.fromhex(task.path_hex)))
    if not task.size:
        return b""
    with mmap.mmap(arena, task.size, prot=mmap.PROT_READ) as shared:
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
