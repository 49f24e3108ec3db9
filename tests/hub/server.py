"""A Hub on 127.0.0.1 for the real clients, with faults on request."""

import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.hub.protocol import Answer, Hub, Request, error


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "HubServer"

    def _serve(self) -> None:
        url = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=url.path,
            query={name: values[-1] for name, values in parse_qs(url.query).items()},
            headers={name.lower(): text for name, text in self.headers.items()},
            body=self._body(),
        )
        hub = self.server.hub
        called = f"{request.method} {request.path}"
        hub.requests.append(called)
        fault = hub.faults.next(called)
        if fault is None:
            self._send(hub.answer(request))
            return
        if fault.is_after:
            hub.answer(request)
        time.sleep(fault.hang_s)
        if fault.status is None:
            self._reset()
        else:
            answer = error(fault.status, "injected")
            self._send(
                Answer(
                    status=answer.status,
                    body=answer.body if fault.body is None else fault.body,
                    headers={**answer.headers, **fault.headers},
                )
            )

    do_GET = do_HEAD = do_POST = do_PUT = _serve  # names that http.server calls

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, text in answer.headers.items():
            if text:
                self.send_header(name, text)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _reset(self) -> None:
        """Ends the connection as a dying peer would."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


class HubServer(ThreadingHTTPServer):
    """`with HubServer() as server:` serves `server.hub` at `server.url`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = Hub()
        self.url = self.hub.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that were killed are no news."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
