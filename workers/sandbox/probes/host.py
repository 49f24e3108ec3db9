"""A stage for attacks: things on this machine that a cell must neither see nor change."""

import contextlib
import ctypes
import os
import resource
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

_VARIABLE = "SANDBOX_PROBE_TOKEN"


class Host:
    """A secret in a file, in an environment and in memory, sockets that listen, and a process.

    Make it before the sandbox, which must not inherit the environment.
    """

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        os.environ[_VARIABLE] = self.token
        self.folder = Path(tempfile.mkdtemp(prefix="sandbox-probe-"))
        # Open to everyone: what keeps the cell out must be the sandbox and not a mode.
        self.folder.chmod(0o777)
        self.secret = self.folder / "secret"
        self.secret.write_text(self.token)
        self.secret.chmod(0o666)
        self._memory = ctypes.create_string_buffer(self.token.encode())
        self._name = f"\0sandbox-probe-{self.token[:8]}"
        self._streams = [socket.create_server(("127.0.0.1", 0))]
        for address in (str(self.folder / "socket"), self._name):
            unix = socket.socket(socket.AF_UNIX)
            unix.bind(address)
            unix.listen()
            self._streams.append(unix)
        (self.folder / "socket").chmod(0o777)
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", 0))
        self._canary = subprocess.Popen(["sleep", "600"], env={_VARIABLE: self.token})
        self._canary_limits = self._limits()

    def prelude(self) -> str:
        """Where all of it is; the attacker knows, but for the token."""
        known = {
            "folder": str(self.folder),
            "secret": str(self.secret),
            "repo": str(Path(__file__).parents[3]),
            "port": self._streams[0].getsockname()[1],
            "udp_port": self._datagrams.getsockname()[1],
            "unix_name": self._name,
            "owner": os.getpid(),
            "canary": self._canary.pid,
            "address": ctypes.addressof(self._memory),
            "num_token_bytes": len(self.token),
        }
        return "".join(f"{name} = {value!r}\n" for name, value in known.items())

    def damage(self) -> list[str]:
        """What an attack has changed or reached."""
        checks = {
            "files came or went": {path.name for path in self.folder.iterdir()}
            != {"secret", "socket"},
            "the secret was changed": not self.secret.is_file()
            or self.secret.read_text() != self.token
            or self.secret.stat().st_mode & 0o777 != 0o666,
            "a connection came in": any(self._has_come(each) for each in self._streams),
            "a datagram came in": self._has_come(self._datagrams),
            "the canary was killed": self._canary.poll() is not None,
            "the canary's limits were changed": self._canary.poll() is None
            and self._limits() != self._canary_limits,
        }
        return [name for name, is_so in checks.items() if is_so]

    def close(self) -> None:
        """Takes all of it away."""
        self._canary.kill()
        self._canary.wait()
        for each in (*self._streams, self._datagrams):
            each.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.environ.pop(_VARIABLE, None)

    def __enter__(self) -> "Host":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _limits(self) -> tuple[int, int]:
        return resource.prlimit(self._canary.pid, resource.RLIMIT_NOFILE)

    @staticmethod
    def _has_come(listener: socket.socket) -> bool:
        listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            if listener.type == socket.SOCK_DGRAM:
                listener.recv(1)
            else:
                listener.accept()[0].close()
            return True
        return False
