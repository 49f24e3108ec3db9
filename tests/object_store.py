"""An S3 server in a process of its own, so that nothing of it is imported beside the tests.

`python -m tests.object_store PORT` serves; SIGUSR1 stops the listening and SIGUSR2 resumes it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEAVE, COME_BACK = signal.SIGUSR1, signal.SIGUSR2


class ObjectStore:
    """Listens from when it is made until it is stopped, but while it is away; it forgets nothing
    meanwhile."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._port)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ),
        )
        self._wait_until(answers=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def leave(self) -> None:
        self._process.send_signal(LEAVE)
        self._wait_until(answers=False)

    def come_back(self) -> None:
        self._process.send_signal(COME_BACK)
        self._wait_until(answers=True)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _wait_until(self, *, answers: bool) -> None:
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            with socket.socket() as probe:
                if (probe.connect_ex(("127.0.0.1", self._port)) == 0) == answers:
                    return
            time.sleep(0.1)
        raise TimeoutError(f"the S3 server {'did not start' if answers else 'is still there'}")


def main(port: int) -> None:
    from moto.server import ThreadedMotoServer

    signal.pthread_sigmask(signal.SIG_BLOCK, {LEAVE, COME_BACK})
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    while True:
        if signal.sigwait({LEAVE, COME_BACK}) == LEAVE:
            server.stop()
        else:
            server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
            server.start()


if __name__ == "__main__":
    main(int(sys.argv[1]))
