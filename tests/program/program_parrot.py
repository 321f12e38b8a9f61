"""A server that answers as it is told, and remembers what it was asked: for answers that the simulator never gives."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypeAlias


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it came in; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Answer: TypeAlias = tuple[int, Mapping[str, str], bytes]


NO_SUCH_CALL: Answer = (405, {}, b'{"status":"error","data":null,"message":"no such call"}')


class _Server(ThreadingHTTPServer):
    """A client that goes away, or does not trust it, is no error of the server."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of those."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Parrot:
    """``with Parrot(answer) as parrot``: serves ``parrot.url`` on loopback; ``parrot.asked`` holds every PATCH.

    ``reads`` answers all else; without it there is nothing to read. With ``tls`` it speaks https.
    """

    def __init__(
        self,
        answer: Callable[[Asked], Answer],
        *,
        reads: Callable[[Asked], Answer] = lambda _: NO_SUCH_CALL,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.asked: list[Asked] = []
        self.read: list[Asked] = []
        parrot = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                came = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(method=self.command, path=self.path, headers=came, body=self.rfile.read(length))
                if len(asked.body) < length:
                    return  # who asked was killed under way
                is_write = self.command == "PATCH"
                (parrot.asked if is_write else parrot.read).append(asked)
                status, headers, body = (answer if is_write else reads)(asked)
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_PATCH = do_GET = do_POST = _serve  # noqa: N815  (names that http.server looks for)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        if tls is not None:  # the handshake is made by the thread of the connection, which may fail alone
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
