"""Seccomp: from here on this process computes, reads, and writes to what it has open.

A list of what is allowed, so that the calls of kernels to come are refused too: what is missing
fails with EPERM, which Python shows as an exception. A call in another architecture's numbers
kills the process.
"""

import ctypes
import errno
import os
import platform
from collections.abc import Iterator

_CALLS = {
    # name: (x86-64, aarch64); None where an architecture lacks the call
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "poll": (7, None),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "access": (21, None),
    "select": (23, None),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "dup": (32, 23),
    "dup2": (33, None),
    "pause": (34, None),
    "nanosleep": (35, 101),
    "getitimer": (36, 102),
    "alarm": (37, None),
    "setitimer": (38, 103),
    "getpid": (39, 172),
    "exit": (60, 93),
    "uname": (63, 160),
    "getcwd": (79, 17),
    "readlink": (89, None),
    "gettimeofday": (96, 169),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "times": (100, 153),
    "getuid": (102, 174),
    "getgid": (104, 176),
    "geteuid": (107, 175),
    "getegid": (108, 177),
    "getppid": (110, 173),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "time": (201, None),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "getdents64": (217, 61),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "newfstatat": (262, 79),
    "readlinkat": (267, 78),
    "faccessat": (269, 48),
    "pselect6": (270, 72),
    "ppoll": (271, 73),
    "set_robust_list": (273, 99),
    "dup3": (292, 24),
    "getcpu": (309, 168),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "statx": (332, 291),
    "rseq": (334, 293),
    "faccessat2": (439, 439),
}
"""Allowed whatever the arguments."""
_OPEN, _OPENAT, _IOCTL, _FCNTL, _PRLIMIT = (2, None), (257, 56), (16, 29), (72, 25), (302, 261)
"""Allowed for some arguments only."""

_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""The kernel's number of an architecture, and its column in the table."""
_X32_BIT = 0x40000000
_WRITING = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | (os.O_TMPFILE & ~os.O_DIRECTORY)
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)
"""Duplicating and flags; not owners and signals of descriptors, leases or pipe sizes."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_KILL_PROCESS, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

_Instruction = tuple[int, int, int, int]
"""Code, how many to skip if true, how many if false, operand."""


class _SockFilter(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jt", ctypes.c_uint8),
        ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class Filter(ctypes.Structure):
    """A program in the kernel's form, with its instructions kept alive."""

    _fields_ = (("len", ctypes.c_uint16), ("filter", ctypes.POINTER(_SockFilter)))


_libc = ctypes.CDLL(None, use_errno=True)


def make_filter() -> Filter:
    """The filter for this machine. Raises OSError on an architecture without a table."""
    if platform.machine() not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        raise OSError(errno.ENOSYS, f"seccomp: no table for {platform.machine()} (for: {known})")
    program = list(_program(*_ARCHITECTURES[platform.machine()]))
    instructions = (_SockFilter * len(program))(*(_SockFilter(*each) for each in program))
    return Filter(len(program), ctypes.cast(instructions, ctypes.POINTER(_SockFilter)))


def restrict(program: Filter) -> None:
    """Puts this process under the filter for good. The caller has given up new privileges."""
    zero = ctypes.c_ulong(0)
    mode = ctypes.c_ulong(_MODE_FILTER)
    if _libc.prctl(_PR_SET_SECCOMP, mode, ctypes.byref(program), zero, zero) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"seccomp: {os.strerror(error)}")


def _program(architecture: int, column: int) -> Iterator[_Instruction]:
    yield _LOAD, 0, 0, _ARCHITECTURE_AT
    yield _EQUAL, 1, 0, architecture
    yield _RETURN, 0, 0, _KILL_PROCESS
    yield _LOAD, 0, 0, _NUMBER_AT
    yield _AT_LEAST, 0, 1, _X32_BIT
    yield _RETURN, 0, 0, _KILL_PROCESS
    for numbers in _CALLS.values():
        yield from _when(numbers[column], [(_RETURN, 0, 0, _ALLOW)])
    yield from _when(_OPEN[column], _read_only(1))
    yield from _when(_OPENAT[column], _read_only(2))
    # "Not a terminal" is what Python wants to hear of a pipe.
    yield from _when(_IOCTL[column], [(_RETURN, 0, 0, _ERRNO | errno.ENOTTY)])
    yield from _when(_FCNTL[column], _one_of(1, _FCNTL_COMMANDS))
    yield from _when(_PRLIMIT[column], _only_asking())
    yield _RETURN, 0, 0, _ERRNO | errno.EPERM


def _when(number: int | None, body: list[_Instruction]) -> Iterator[_Instruction]:
    """The body, which always returns, if this is the call; nothing if the call does not exist."""
    if number is not None:
        yield _EQUAL, 0, len(body), number
        yield from body


def _read_only(argument: int) -> list[_Instruction]:
    return [
        (_LOAD, 0, 0, _low(argument)),
        (_ANY_BIT, 0, 1, _WRITING),
        (_RETURN, 0, 0, _ERRNO | errno.EACCES),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _one_of(argument: int, values: tuple[int, ...]) -> list[_Instruction]:
    checks = [(_EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
    denial = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    return [(_LOAD, 0, 0, _low(argument)), *checks, denial, (_RETURN, 0, 0, _ALLOW)]


def _only_asking() -> list[_Instruction]:
    """`prlimit` of oneself without new limits, which is how libc asks for the old ones."""
    zeros = (_low(0), _low(2), _low(2) + 4)
    checks = [
        step
        for i, offset in enumerate(zeros)
        for step in ((_LOAD, 0, 0, offset), (_EQUAL, 0, 2 * (len(zeros) - i) - 1, 0))
    ]
    return [*checks, (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def _low(argument: int) -> int:
    """Where the lower half of an argument is; both architectures put it first."""
    return _ARGUMENTS_AT + 8 * argument
