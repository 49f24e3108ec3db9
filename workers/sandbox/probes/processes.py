"""Attacks on processes and the kernel: starting, signalling, reading and tracing them, escaping."""

from workers.sandbox.probes.probe import Probe, harmful, harmless

_FORK = """
def fork():
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True
"""
_RAW_FORK = """
def fork():
    if (pid := {}) == 0:
        os._exit(0)
    return os.waitpid(pid, 0)[0] if pid > 0 else pid
denied(fork)
"""
_READ_MEMORY = """
class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

local = ctypes.create_string_buffer(num_token_bytes)
ours = Vector(ctypes.addressof(local), num_token_bytes)
theirs = Vector(address, num_token_bytes)
at, there = ctypes.addressof(ours), ctypes.addressof(theirs)
denied(lambda: call("process_vm_readv", owner, at, 1, there, 1, 0))
print(local.value)
"""
_NO_SECCOMP = """
allow_all = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 1, ctypes.addressof(allow_all)))
libc.prctl(22, ctypes.c_ulong(2), ctypes.c_void_p(ctypes.addressof(program)), 0, 0)
call("seccomp", 1, 0, ctypes.addressof(program))
libc.prctl(22, ctypes.c_ulong(0), 0, 0, 0)
denied(lambda: socket.socket())
"""
_QUEUED = """
info = ctypes.create_string_buffer(128)
ctypes.memmove(info, struct.pack("iii", 9, 0, -1), 12)
denied(lambda: call("rt_sigqueueinfo", canary, 9, ctypes.addressof(info)))
"""
_BY_DESCRIPTOR = """
def kill_by_descriptor():
    fd = call("pidfd_open", canary, 0)
    return fd if fd < 0 else call("pidfd_send_signal", fd, 9, 0, 0)
denied(kill_by_descriptor)
"""
_BY_OWNED_PIPE = """
import fcntl
def own():
    return fcntl.fcntl(1, 8, canary) + fcntl.fcntl(1, 10, 9)
denied(own)
"""
_RAISE_LIMITS = """
import resource
def raise_limit(what):
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (hard + 1, hard + 1))
for name in ("AS", "CPU", "NOFILE", "NPROC", "FSIZE"):
    denied(lambda: raise_limit(getattr(resource, "RLIMIT_" + name)))
"""

PROBES: tuple[Probe, ...] = harmless(
    ("fork", _FORK + "denied(fork)"),
    ("fork by raw call", _RAW_FORK.format('call("clone", 17, 0, 0, 0, 0)')),
    ("clone3", _RAW_FORK.format('call("clone3", struct.pack("8Q", 0, 0, 0, 0, 17, 0, 0, 0), 64)')),
    ("thread", "denied(lambda: threading.Thread(target=print).start())"),
    ("run a program", 'denied(lambda: subprocess.run(["/bin/true"]))'),
    ("run a shell", 'denied(lambda: 1 if os.system("exit 5") == 5 << 8 else -1)'),
    ("spawn", 'denied(lambda: os.posix_spawn("/bin/true", ["true"], {}))'),
    ("become a program", 'denied(lambda: os.execv("/bin/echo", ["echo", "BREACH"]))'),
    ("become Python", "denied(lambda: os.execv(sys.executable, ['python', '-c', "
     "'print(\"BREACH\")']))"),
    ("multiprocessing", "import multiprocessing\n"
     "denied(lambda: multiprocessing.get_context('fork').Process(target=int).start())"),
    ("see the owner", "denied(lambda: os.kill(owner, 0))"),
    ("see the zygote", "denied(lambda: os.kill(os.getppid(), 0))"),
    ("see everyone", "denied(lambda: os.kill(-1, 0))"),
    ("see its own group", "denied(lambda: os.killpg(0, 0))"),
    ("kill a process", "denied(lambda: os.kill(canary, 9))"),
    ("kill by tkill", 'denied(lambda: call("tkill", canary, 9))'),
    ("kill by tgkill", 'denied(lambda: call("tgkill", canary, canary, 9))'),
    ("see the zygote by tgkill", 'denied(lambda: call("tgkill", os.getppid(), os.getppid(), 0))'),
    ("kill by a queued signal", _QUEUED),
    ("kill by descriptor", _BY_DESCRIPTOR),
    ("own a pipe for somebody", _BY_OWNED_PIPE),
    ("take a descriptor", 'theirs = call("pidfd_open", owner, 0)\n'
     'denied(lambda: call("pidfd_getfd", theirs, 1, 0))'),
    ("read the owner's memory", _READ_MEMORY),
    ("trace a process", 'denied(lambda: call("ptrace", 0x4206, canary, 0, 0))'),
    ("compare processes", 'denied(lambda: call("kcmp", owner, canary, 0, 0, 0))'),
    ("limits of a process", "import resource\n"
     "denied(lambda: resource.prlimit(canary, resource.RLIMIT_NOFILE, (99, 99)))"),
    ("read a process's limits", "import resource\n"
     "denied(lambda: resource.prlimit(canary, resource.RLIMIT_NOFILE))"),
    ("slow a process down", "denied(lambda: os.setpriority(os.PRIO_PROCESS, canary, 1))"),
    ("place a process", "denied(lambda: os.sched_setaffinity(canary, {0}))"),
    ("bpf", 'denied(lambda: call("bpf", 0, struct.pack("IIII", 2, 4, 8, 1), 16))'),
    ("io_uring", 'denied(lambda: call("io_uring_setup", 1, bytes(120)))'),
    ("keyring", 'denied(lambda: call("keyctl", 0, -3, 1))'),
    ("add a key", 'denied(lambda: call("add_key", b"user", b"probe", b"x", 1, -2))'),
    ("userfaultfd", 'denied(lambda: call("userfaultfd", 1))'),
    ("measuring the kernel", 'event = struct.pack("IIQ", 1, 112, 0) + bytes(96)\n'
     'denied(lambda: call("perf_event_open", event, 0, -1, -1, 0))'),
    ("own namespaces", 'denied(lambda: call("unshare", 0x10000000 | 0x20000))'),
    ("own network", 'denied(lambda: call("unshare", 0x10000000 | 0x40000000))'),
    ("change root", 'denied(lambda: call("chroot", b"/"))'),
    ("personality", 'denied(lambda: call("personality", 0x0040000))'),
    ("timers", 'denied(lambda: call("timer_create", 0, None, ctypes.byref(ctypes.c_int())))'),
    ("replace seccomp", _NO_SECCOMP),
    ("outlive the zygote", "denied(lambda: libc.prctl(1, 0, 0, 0, 0))"),
    ("be dumpable", "denied(lambda: libc.prctl(4, 1, 0, 0, 0))"),
    ("be a session", "denied(lambda: os.setsid())"),
    ("raise limits", _RAISE_LIMITS),
    ("lock memory", 'denied(lambda: call("mlockall", 3))'),
) + harmful(
    ("kill the owner", "denied(lambda: os.kill(owner, 9))"),
    ("kill the zygote", "denied(lambda: os.kill(os.getppid(), 9))"),
    ("kill everyone", "denied(lambda: os.kill(-1, 9))"),
    ("kill its own group", "denied(lambda: os.killpg(0, 9))"),
    ("trace the zygote", 'denied(lambda: call("ptrace", 16, os.getppid(), 0, 0))'),
    ("fork bomb", _FORK + "for _ in range(50):\n    denied(os.fork)"),
    ("thread bomb", "for _ in range(50):\n"
     "    denied(lambda: threading.Thread(target=signal.pause, daemon=True).start())"),
    ("another namespace", 'denied(lambda: call("setns", 0, 0))'),
    ("mount", 'denied(lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None))'),
    ("become root", "denied(lambda: os.setuid(0))"),
    ("set the clock", "import time\ndenied(lambda: time.clock_settime(0, time.time()))"),
    ("set the host's name", 'denied(lambda: socket.sethostname("probe"))'),
)  # fmt: skip
