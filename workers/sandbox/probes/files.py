"""Attacks on files: reading what is not the interpreter's, and writing anything."""

from workers.sandbox.probes.probe import Probe, harmful, harmless

_DESCRIPTORS = """
for fd in range(64):
    for path in ("etc/passwd", secret[1:]):
        denied(lambda: os.read(os.open("../" * 12 + path, os.O_RDONLY, dir_fd=fd), 99))
"""
_MEMORY_OF = """
def peek(pid):
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(address)
        return memory.read(num_token_bytes)
"""
_HANDLE = """
handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
mount = ctypes.c_int()
at, mount_at = ctypes.addressof(handle), ctypes.addressof(mount)
denied(lambda: call("name_to_handle_at", -100, secret.encode(), at, mount_at, 0))
"""
_MODULE = """
sys.path.insert(0, repo)
sys.path_importer_cache.clear()
import importlib
denied(lambda: importlib.import_module("workers.sandbox.pool").__name__)
"""

READING: tuple[Probe, ...] = harmless(
    ("read /etc/passwd", 'denied(lambda: open("/etc/passwd").read())'),
    ("read /etc/hosts by libc", 'denied(lambda: libc.open(b"/etc/hosts", 0))'),
    ("read a secret", "denied(lambda: open(secret).read())"),
    ("read the repository", 'denied(lambda: open(repo + "/workers/sandbox/pool.py").read(9))'),
    ("read the zygote's code", 'denied(lambda: open("/sandbox/zygote.py").read(9))'),
    ("import from the repository", _MODULE),
    ("list the root", 'denied(lambda: os.listdir("/"))'),
    ("list root's home", 'denied(lambda: os.listdir("/root"))'),
    ("list homes", 'denied(lambda: os.listdir("/home"))'),
    ("list the current folder", "denied(lambda: os.listdir())"),
    ("list a folder", "denied(lambda: os.listdir(folder))"),
    ("token in the environment", "print(os.environ)\nlibc.getenv.restype = ctypes.c_char_p\n"
     'print(libc.getenv(b"SANDBOX_PROBE_TOKEN"))'),
    ("/proc/self/environ", 'denied(lambda: open("/proc/self/environ").read())'),
    ("/proc/self/maps", 'denied(lambda: open("/proc/self/maps").read())'),
    ("/proc/1/cmdline", 'denied(lambda: open("/proc/1/cmdline").read())'),
    ("environment of a process", 'denied(lambda: open(f"/proc/{canary}/environ").read())'),
    ("memory of the owner as a file", _MEMORY_OF + "denied(lambda: peek(owner))"),
    ("memory of the zygote as a file", 'denied(lambda: open(f"/proc/{os.getppid()}/mem"))'),
    ("descriptors of the owner", 'denied(lambda: os.listdir(f"/proc/{owner}/fd"))'),
    ("descriptors of the zygote", 'denied(lambda: os.readlink(f"/proc/{os.getppid()}/fd/0"))'),
    ("the root of the owner", 'denied(lambda: open(f"/proc/{owner}/root" + secret).read())'),
    ("list devices", 'denied(lambda: os.listdir("/dev"))'),
    ("/sys", 'denied(lambda: os.listdir("/sys/kernel"))'),
    ("inherited descriptors", _DESCRIPTORS),
    ("a file's handle", _HANDLE),
    ("watching files", 'denied(lambda: call("inotify_init1", 0))'),
    ("openat2", 'how = struct.pack("QQQ", 0, 0, 0)\n'
     'denied(lambda: call("openat2", -100, secret.encode(), how, 24))'),
)  # fmt: skip

_SHARED = "from multiprocessing import shared_memory\n"

WRITING: tuple[Probe, ...] = harmless(
    ("write a file", 'denied(lambda: open(folder + "/new", "w").write("x"))'),
    ("overwrite a secret", 'denied(lambda: open(secret, "r+").write("x"))'),
    ("truncate a secret", "denied(lambda: os.truncate(secret, 0))"),
    ("remove a secret", "denied(lambda: os.remove(secret))"),
    ("rename a secret", 'denied(lambda: os.rename(secret, folder + "/moved"))'),
    ("change a mode", "denied(lambda: os.chmod(secret, 0o600))"),
    ("make a folder", 'denied(lambda: os.mkdir(folder + "/new"))'),
    ("make a symbolic link", 'denied(lambda: os.symlink(secret, folder + "/new"))'),
    ("make a hard link", 'denied(lambda: os.link(secret, folder + "/new"))'),
    ("make a pipe with a name", 'denied(lambda: os.mkfifo(folder + "/new"))'),
    ("unnamed temporary file", "denied(lambda: os.open(folder, os.O_TMPFILE | os.O_RDWR))"),
    ("tempfile", "import tempfile\ndenied(lambda: tempfile.TemporaryFile())"),
    ("memfd", 'denied(lambda: os.memfd_create("x"))'),
    ("memfd by raw call", 'denied(lambda: call("memfd_create", b"x", 0))'),
    ("secret memory", 'denied(lambda: call("memfd_secret", 0))'),
    ("database", "import sqlite3\ndenied(lambda: sqlite3.connect(folder + '/new')"
     ".execute('create table t (x)'))"),
    ("chdir", "denied(lambda: os.chdir(folder))"),
) + harmful(
    ("write into /tmp", 'denied(lambda: open("/tmp/sandbox-probe", "w"))'),
    ("write into the root", 'denied(lambda: open("/sandbox-probe", "w"))'),
    ("make a folder in the root", 'denied(lambda: os.mkdir("/sandbox-probe"))'),
    ("write into sympy", 'import sympy\ndenied(lambda: open(sympy.__file__, "a"))'),
    ("write beside sympy", 'import sympy\ndenied(lambda: open(sympy.__path__[0] + "/z.py", "x"))'),
    ("write into the home", 'denied(lambda: open("/root/sandbox-probe", "w"))'),
    ("write a device", 'denied(lambda: open("/dev/mem", "wb"))'),
    ("shared memory", _SHARED + "denied(lambda: shared_memory.SharedMemory(create=True, size=9))"),
    ("System V shared memory", 'denied(lambda: call("shmget", 0, 4096, 0o1600))'),
    ("message queue", 'denied(lambda: call("mq_open", b"sandbox-probe", 0o102, 0o600, None))'),
)  # fmt: skip

PROBES = READING + WRITING
