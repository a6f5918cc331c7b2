"""A process that decodes media and does nothing else: what a hostile file can break is this.

    python -P -m app.engine.decode_worker CHANNEL ARENA

Never imports torch, so that it starts in a fraction of a second and stays small. Messages come
over the socket CHANNEL; media comes in, and what is decoded goes out, through ARENA, memory that
both processes see. It can write no file, and it ends when the parent does.
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

from app.engine.decode_messages import Answer, DecodeLimits, Task, sound_offset
from model.errors import MediaError, MediaTooLarge
from model.media import Clip, read_clip

MAX_OPEN_FILES = 64


def main() -> None:
    """Decode what the parent names, until it closes the channel.

    The first message holds the limits; the first answer, an empty one, says that they hold.
    """
    channel, arena = Connection(int(sys.argv[1])), int(sys.argv[2])
    limits = DecodeLimits.model_validate_json(channel.recv_bytes())
    restrict(limits)
    gc.collect()
    gc.freeze()  # what is loaded stays, so that looking for what a file left takes no time
    answer = Answer()
    while True:
        channel.send_bytes(answer.model_dump_json().encode())
        gc.collect()  # decoders refer to themselves: else their frames would stay for a while
        if answer.error == "memory":  # what is left of the heap is no good to the next file
            return
        try:
            task = Task.model_validate_json(channel.recv_bytes())
        except (EOFError, ConnectionError):
            return
        allow_processor_seconds(limits.seconds)
        answer = decode(task, arena)


def decode(task: Task, arena: int) -> Answer:
    """Decode one file into the arena; return where it lies there, or what was wrong."""
    try:
        return _write(read_clip(_source(task, arena), task.config), arena)
    except MediaTooLarge as error:
        return Answer(error="MediaTooLarge", message=str(error))
    except MediaError as error:
        return Answer(error="MediaError", message=str(error))
    except MemoryError:
        return Answer(error="memory")
    except Exception as error:  # the decoders choke on this file: the next is not harmed
        return Answer(error="unexpected", message=f"{type(error).__name__}: {error}")


def restrict(limits: DecodeLimits) -> None:
    """Give up writing files, dumping memory, and memory beyond ``limits``."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for kind, limit in (
        (resource.RLIMIT_AS, used + limits.memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
    ):
        resource.setrlimit(kind, (limit, limit))


def allow_processor_seconds(seconds: float) -> None:
    """Have the kernel end this process after so many further seconds of processor time."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    until = math.ceil(spent.ru_utime + spent.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _source(task: Task, arena: int) -> bytes | Path:
    if task.path_hex is not None:
        return Path(os.fsdecode(bytes.fromhex(task.path_hex)))
    if not task.size:
        return b""
    with mmap.mmap(arena, task.size, prot=mmap.PROT_READ) as shared:
        return shared[:]


def _write(clip: Clip, arena: int) -> Answer:
    frames = np.empty(0, np.uint8) if clip.frames is None else clip.frames
    sound = np.empty(0, np.float32) if clip.waveform is None else clip.waveform
    offset = sound_offset(frames.nbytes)
    with mmap.mmap(arena, max(1, offset + sound.nbytes)) as shared:
        np.ndarray(frames.shape, frames.dtype, shared)[...] = frames
        np.ndarray(sound.shape, sound.dtype, shared, offset)[...] = sound
    return Answer(
        frames=None if clip.frames is None else clip.frames.shape,
        num_samples=None if clip.waveform is None else len(clip.waveform),
        duration_seconds=clip.duration_seconds,
    )


if __name__ == "__main__":
    main()
