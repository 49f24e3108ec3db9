"""Landlock: from here on this process opens nothing but some folders, for reading.

It also takes away TCP, signals to processes outside and abstract unix sockets, as far as the kernel
knows how. It can only ever be tightened, and is inherited.
"""

import ctypes
import os
from collections.abc import Sequence

# These three numbers are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many of the rights on files, counted from bit 0, an ABI knows: this or the next lower one."""
_TCP_ABI, _TCP_RIGHTS = 4, 0b11
_SCOPE_ABI, _SCOPES = 6, 0b11
_PR_SET_NO_NEW_PRIVS = 38


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def abi() -> int:
    """The version this kernel speaks; 0 where Landlock is absent, switched off or forbidden."""
    version = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    return max(int(version), 0)


def make_ruleset(folders: Sequence[str]) -> int:
    """A ruleset's descriptor: `folders` may be read, and nothing else be opened.

    Raises OSError where the kernel refuses, or a folder is missing.
    """
    version = abi()
    rights = (1 << max(n for a, n in _FILE_RIGHTS_BY_ABI.items() if a <= version or a == 1)) - 1
    wanted = _Ruleset(
        rights,
        _TCP_RIGHTS if version >= _TCP_ABI else 0,
        _SCOPES if version >= _SCOPE_ABI else 0,
    )
    size = ctypes.c_size_t(ctypes.sizeof(wanted))
    ruleset = _checked(_libc.syscall(_CREATE_RULESET, ctypes.byref(wanted), size, 0))
    for folder in folders:
        fd = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        rule = _PathBeneath(_READ_FILE | _READ_DIR, fd)
        _checked(_libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0))
        os.close(fd)
    return ruleset


def restrict(ruleset: int) -> None:
    """Puts this process under a ruleset. Doing so again makes a domain inside the first."""
    forbid_new_privileges()
    _checked(_libc.syscall(_RESTRICT_SELF, ruleset, 0))


def forbid_new_privileges() -> None:
    """Set-uid programs give nothing any more; the kernel asks this of those who restrict."""
    one, zero = ctypes.c_ulong(1), ctypes.c_ulong(0)
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, one, zero, zero, zero))


def _checked(answer: int) -> int:
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return answer
