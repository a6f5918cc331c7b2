"""A decode worker that runs the code it is sent: one that a hostile file took over.

It is the real one, locked in by its own ``main``; only ``decode`` is another.
"""

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import BinaryIO

from app.engine import decode_worker
from app.engine.decode_process import DecodeAnswer, DecodeTask

LOADED = (ctypes, fcntl, mmap, os, resource, signal, socket, subprocess, sys, threading, time)
libc = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: int) -> int:
    """Make a system call, without a library that may decide otherwise."""
    result = libc.syscall(*(ctypes.c_long(each) for each in (number, *arguments)))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def run(source: bytes | BinaryIO, task: DecodeTask, arena: int) -> DecodeAnswer:
    """Run the code; answer the error that it ends in."""
    assert isinstance(source, bytes)
    try:
        exec(source, {module.__name__: module for module in LOADED} | {"syscall": syscall})
    except Exception as error:  # any: what hostile code raises is what the test reads
        return DecodeAnswer(error="MediaError", message=f"{type(error).__name__}: {error}")
    return DecodeAnswer(error="MediaError", message="done")


if __name__ == "__main__":
    decode_worker.decode = run
    decode_worker.main()
