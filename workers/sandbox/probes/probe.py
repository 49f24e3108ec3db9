"""What an attack is: code, and what may come of it."""

from dataclasses import dataclass

from workers.sandbox.cells import CellStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """It breaches if it prints BREACH or the host's token, or if the host shows damage."""

    name: str
    code: str
    """Runs after the prelude."""
    then: str = ""
    """Code of the next execution, which must not notice the first."""
    may_end: frozenset[CellStatus] | None = None
    """Any other ending is a breach; None: all endings will do."""
    is_harmless: bool = False
    """May be run without a sandbox, to see that it can succeed."""


def harmless(*cases: tuple[str, str]) -> tuple[Probe, ...]:
    """Probes that touch nothing but what the host holds out to them."""
    return tuple(Probe(name=name, code=code, is_harmless=True) for name, code in cases)


def harmful(*cases: tuple[str, str]) -> tuple[Probe, ...]:
    """Probes that would cost the machine something if they succeeded."""
    return tuple(Probe(name=name, code=code) for name, code in cases)


PRELUDE = """
import ctypes, os, platform, signal, socket, struct, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
TABLE = {
    "socket": (41, 198), "sendto": (44, 206), "execve": (59, 221), "kill": (62, 129),
    "ptrace": (101, 117), "mount": (165, 40), "chroot": (161, 51), "tkill": (200, 130),
    "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "add_key": (248, 217),
    "keyctl": (250, 219), "unshare": (272, 97), "perf_event_open": (298, 241),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "setns": (308, 268),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "seccomp": (317, 277), "memfd_create": (319, 279), "bpf": (321, 280),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "clone": (56, 220), "clone3": (435, 435),
    "prlimit64": (302, 261), "personality": (135, 92), "mlockall": (151, 230),
    "shmget": (29, 194), "mq_open": (240, 180), "inotify_init1": (294, 26),
    "openat2": (437, 437), "pidfd_getfd": (438, 438), "setrlimit": (160, 164),
    "timer_create": (222, 107), "process_madvise": (440, 440), "memfd_secret": (447, 447),
}
COLUMN = ("x86_64", "aarch64").index(platform.machine())

def call(name, *args):
    words = [a if isinstance(a, (bytes, type(None))) or not isinstance(a, int)
             else ctypes.c_long(a) for a in args]
    return libc.syscall(ctypes.c_long(TABLE[name][COLUMN]), *words)

def denied(act):
    try:
        result = act()
    except Exception as error:
        print(type(error).__name__)
        return
    if not (isinstance(result, int) and not isinstance(result, bool) and result < 0):
        print("BREACH", str(result)[:1000])
"""
"""`denied(act)`: the act has to raise or to return a negative number."""
