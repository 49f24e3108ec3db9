"""Attacks on the network: every way to a socket."""

from workers.sandbox.probes.probe import Probe, harmless

_I386_SOCKET = """
import mmap
if platform.machine() == "x86_64":
    # push rbx; mov eax, 359 (socket of i386); mov ebx, 2; mov ecx, 1; xor edx, edx; int 0x80;
    # pop rbx; ret
    code = bytes.fromhex("53b867010000bb02000000b90100000031d2cd805bc3")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    at = ctypes.addressof(ctypes.c_char.from_buffer(page))
    denied(ctypes.CFUNCTYPE(ctypes.c_int)(at))
"""

PROBES: tuple[Probe, ...] = harmless(
    ("tcp connection", 'denied(lambda: socket.create_connection(("127.0.0.1", port), 1))'),
    ("any socket", "denied(lambda: socket.socket())"),
    ("socket by raw call", 'denied(lambda: call("socket", 2, 1, 0))'),
    (
        "socket by an x32 number",
        "if COLUMN == 0:\n    denied(lambda: libc.syscall(ctypes.c_long(0x40000029), 2, 1, 0))",
    ),
    ("socket by the 32-bit gate", _I386_SOCKET),
    (
        "unix socket by path",
        'denied(lambda: socket.socket(socket.AF_UNIX).connect(folder + "/socket"))',
    ),
    (
        "abstract unix socket",
        "denied(lambda: socket.socket(socket.AF_UNIX).connect(unix_name))",
    ),
    (
        "datagram",
        "denied(lambda: socket.socket(2, 2).sendto(b'x', ('127.0.0.1', udp_port)))",
    ),
    ("listening", 'denied(lambda: socket.create_server(("127.0.0.1", 0)))'),
    ("netlink", "denied(lambda: socket.socket(16, 3, 0))"),
    ("raw packets", "denied(lambda: socket.socket(17, 3, 0))"),
    (
        "http by the standard library",
        "import urllib.request\n"
        'denied(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=1))',
    ),
    ("event loop", "import asyncio\ndenied(lambda: asyncio.new_event_loop())"),
)
