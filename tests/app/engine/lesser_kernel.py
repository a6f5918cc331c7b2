"""Runs a program on a kernel that lacks some system calls: each fails with ENOSYS.

python lesser_kernel.py NUMBER,NUMBER PROGRAM ARGUMENT...
"""

import ctypes
import errno
import os
import platform
import struct
import sys

from app.engine import sandbox


def lack(*numbers: int) -> None:
    """Have the kernel refuse these system calls from now on, as one that never had them."""
    code = sandbox._instruction(sandbox.LOAD, sandbox.NUMBER)
    for number in numbers:
        code += b"".join(sandbox._returns(number, sandbox.RET_ERRNO | errno.ENOSYS))
    code += sandbox._instruction(sandbox.RETURN, sandbox.RET_ALLOW)
    instructions = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None)
    assert libc.prctl(sandbox.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    machine = sandbox.MACHINES[platform.machine()]
    assert sandbox._call(machine.seccomp, sandbox.SECCOMP_SET_MODE_FILTER, 0, program) == 0


if __name__ == "__main__":
    lack(*map(int, sys.argv[1].split(",")))
    os.execv(sys.argv[2], sys.argv[2:])
