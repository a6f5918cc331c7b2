"""Locks a decode worker in: a hostile file that takes it over reaches nothing outside it.

Two mechanisms of the Linux kernel; neither needs privileges, and neither can be undone. Most
attacks fail at both.

* seccomp allows the system calls that decoding needs and refuses all others. It compares numbers
  and cannot look at paths.
* Landlock refuses the whole file system, TCP, and signals to other processes.

Memory, processor time and open descriptors stay usable; resource limits bound those.
"""

import ctypes
import errno
import os
import platform
import struct
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from model.config import FrozenModel

Part = Literal["landlock", "seccomp"]
PARTS: tuple[Part, ...] = get_args(Part)


class Sandbox(FrozenModel):
    """Which mechanisms hold."""

    landlock: bool
    seccomp: bool

    @property
    def parts(self) -> list[Part]:
        """The names of those that hold."""
        return [name for name in PARTS if getattr(self, name)]

    @property
    def missing(self) -> list[Part]:
        """The names of those that do not."""
        return [name for name in PARTS if not getattr(self, name)]


class Machine(NamedTuple):
    """What system calls are called on one processor architecture."""

    audit_number: int  # as in the kernel's ``seccomp_data``
    seccomp: int
    column: int  # of ``ALLOWED``, ``GUARDED`` and ``CLONE3``


class Guarded(NamedTuple):
    """A system call that is allowed where ``argument & mask`` is one of ``values``."""

    numbers: tuple[int, int]
    argument: int  # its index
    mask: int
    values: tuple[int, ...]


MACHINES = {"x86_64": Machine(0xC000003E, 317, 0), "aarch64": Machine(0xC00000B7, 277, 1)}

# An allow-list. What it leaves out is most of the kernel, and what later kernels add: each call
# that opens, stats, changes or names a file, makes a socket, starts a program, looks into another
# process, mounts, or loads code; ioctl; and io_uring, which does such things unseen by seccomp.
ALLOWED = {  # on x86_64 and on aarch64
    # Open descriptors: the channel, the arena, and the file to decode, opened for reading.
    # recvmsg receives tasks. fstat takes a descriptor; newfstatat and statx also take paths.
    "read": (0, 63),
    "readv": (19, 65),
    "pread64": (17, 67),
    "write": (1, 64),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "close": (3, 57),
    "recvmsg": (47, 212),
    "poll": (7, 73),  # ppoll on aarch64
    # Memory, limited by RLIMIT_AS.
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    "brk": (12, 214),
    # Threads, which decoders of AV1 and AVIF start. `clone` is guarded, below.
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "gettid": (186, 178),
    "getpid": (39, 172),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),  # how many threads to start
    "exit": (60, 93),
    "exit_group": (231, 94),
    # Handlers of its own signals; restart_syscall continues a wait after SIGSTOP and SIGCONT.
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    # Clocks and random numbers.
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "getrandom": (318, 278),
}
ANY = 0xFFFFFFFF
CLONE_THREAD, CLONE_NEW_NAMESPACES = 0x00010000, 0x7E020000
F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC = 1, 2, 3, 1030
PR_SET_NAME, PR_SET_NO_NEW_PRIVS = 15, 38
GUARDED = {
    # A thread in the same namespaces: no process.
    "clone": Guarded((56, 220), 0, CLONE_THREAD | CLONE_NEW_NAMESPACES, (CLONE_THREAD,)),
    # F_SETOWN and F_SETSIG would have the kernel send a signal to another process.
    "fcntl": Guarded((72, 25), 1, ANY, (F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC)),
    "prctl": Guarded((157, 167), 0, ANY, (PR_SET_NAME,)),  # dav1d names its threads
    "prlimit64": Guarded((302, 261), 0, ANY, (0,)),  # its own limits, not those of the parent
}
TGKILL = (234, 131)  # guarded by its own process id: abort() ends the process by it
# Its flags lie in memory, which seccomp cannot read. glibc takes ENOSYS for an old kernel and
# calls clone; it would take EPERM for a failure.
CLONE3 = (435, 435)

LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446  # on both machines
LANDLOCK_CREATE_RULESET_VERSION = 1
FILE_RIGHTS = (13, 14, 15, 15, 16)  # number of rights that versions 1 to 5 know: deny them all
TCP_RIGHTS, SCOPES = 0b11, 0b11  # bind, connect; abstract sockets, signals
TCP_VERSION, SCOPE_VERSION = 4, 6  # which first have those

SECCOMP_SET_MODE_FILTER, SECCOMP_GET_ACTION_AVAIL = 1, 2
SECCOMP_FILTER_FLAG_TSYNC = 1  # for all threads
RET_ALLOW, RET_ERRNO, RET_KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
# Classic BPF. Offsets are of ``seccomp_data``: the call's number, the machine, the arguments.
LOAD, AND, JUMP_IF_EQUAL, RETURN = 0x20, 0x54, 0x15, 0x06
NUMBER, AUDIT_ARCH, ARGUMENTS = 0, 4, 16

_libc = ctypes.CDLL(None)


def supported() -> Sandbox:
    """Return what this kernel offers. Restricts nothing."""
    machine = MACHINES.get(platform.machine())
    action = ctypes.c_uint32(RET_ERRNO)
    return Sandbox(
        landlock=_landlock_version() > 0,
        seccomp=machine is not None
        and _call(machine.seccomp, SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(action)) == 0,
    )


def enter() -> Sandbox:
    """Lock this process in, for good; return which parts hold.

    All that it needs from the file system must be loaded before.
    """
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)  # both parts require it
    landlock = _enter_landlock()
    return Sandbox(landlock=landlock, seccomp=_enter_seccomp())


def _landlock_version() -> int:
    return _call(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION)


def _enter_landlock() -> bool:
    """Deny everything that this version of Landlock knows: a rule set without rules."""
    version = _landlock_version()
    # It restricts this thread and those that it starts, not those that run already.
    if version < 1 or len([*Path("/proc/self/task").iterdir()]) > 1:
        return False
    rights = struct.pack(
        "=QQQ",
        (1 << FILE_RIGHTS[min(version, len(FILE_RIGHTS)) - 1]) - 1,
        TCP_RIGHTS if version >= TCP_VERSION else 0,
        SCOPES if version >= SCOPE_VERSION else 0,
    )
    rule_set = _call(LANDLOCK_CREATE_RULESET, rights, len(rights), 0)
    if rule_set < 0:
        return False
    holds = _call(LANDLOCK_RESTRICT_SELF, rule_set, 0) == 0
    os.close(rule_set)
    return holds


def _enter_seccomp() -> bool:
    machine = MACHINES.get(platform.machine())
    if machine is None:
        return False
    code = _program(machine)
    instructions = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions))  # sock_fprog
    return _call(machine.seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, program) == 0


def _program(machine: Machine) -> bytes:
    """Return the filter: a refused call fails with EPERM, one of another machine kills."""
    rules = [
        _instruction(LOAD, AUDIT_ARCH),
        # On x86_64 a program can also make the calls of i386, which have other numbers.
        _instruction(JUMP_IF_EQUAL, machine.audit_number, then=1),
        _instruction(RETURN, RET_KILL_PROCESS),
        _instruction(LOAD, NUMBER),
    ]
    for numbers in ALLOWED.values():
        rules += _returns(numbers[machine.column], RET_ALLOW)
    rules += _returns(CLONE3[machine.column], RET_ERRNO | errno.ENOSYS)
    kill_itself = Guarded(TGKILL, 0, ANY, (os.getpid(),))
    for guarded in (*GUARDED.values(), kill_itself):
        rules += _guard(guarded, guarded.numbers[machine.column])
    return b"".join([*rules, _instruction(RETURN, RET_ERRNO | errno.EPERM)])


def _returns(value: int, action: int) -> list[bytes]:
    """Return ``action`` where ``value`` is loaded."""
    return [_instruction(JUMP_IF_EQUAL, value, otherwise=1), _instruction(RETURN, action)]


def _guard(guarded: Guarded, number: int) -> list[bytes]:
    check = [
        # The lower half of the argument: both machines are little-endian.
        _instruction(LOAD, ARGUMENTS + 8 * guarded.argument),
        _instruction(AND, guarded.mask),
    ]
    for value in guarded.values:
        check += _returns(value, RET_ALLOW)
    check.append(_instruction(RETURN, RET_ERRNO | errno.EPERM))
    return [_instruction(JUMP_IF_EQUAL, number, otherwise=len(check)), *check]


def _instruction(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """Return a ``sock_filter``; jumps skip ``then`` or ``otherwise`` instructions."""
    return struct.pack("=HBBI", code, then, otherwise, value)


def _call(number: int, *arguments: object) -> int:
    """Make a system call; return what it returns, or -1."""
    words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return int(_libc.syscall(ctypes.c_long(number), *words))
