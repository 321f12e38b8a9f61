"""A peer: PATCH as fast as bare sockets and a parser in C go, replies parsed. No TLS, no time limit, no retry."""

from __future__ import annotations

import json
import select
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httptools


class Connection:
    """One socket, and the answer that is coming in on it."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.whole = False
        self._parts: list[bytes] = []

    def on_body(self, part: bytes) -> None:
        """A piece of the body (called by the parser)."""
        self._parts.append(part)

    def on_message_complete(self) -> None:
        """The answer is whole (called by the parser)."""
        self.whole = True

    def ask(self, head: str, body: bytes) -> None:
        """Send one request."""
        self.whole, self._parts = False, []
        self._parser = httptools.HttpResponseParser(self)
        self.socket.sendall(head.encode() + body)

    def hear(self) -> None:
        """Read what came; a whole answer must be a success."""
        self._parser.feed_data(self.socket.recv(65536))
        if self.whole:
            assert self._parser.get_status_code() == 200  # noqa: S101, PLR2004  (failures say nothing)
            assert json.loads(b"".join(self._parts))["status"] == "success"  # noqa: S101  (likewise)


def main(url: str, key: str, ids: str, concurrency: int) -> None:
    """Send one PATCH for each line of the file ``ids``."""
    address = urlsplit(url)
    waiting = enumerate(Path(ids).read_text(encoding="utf-8").split())
    epoll = select.epoll()
    under_way: dict[int, Connection] = {}
    fields = f"Host: {address.netloc}\r\nX-API-KEY: {key}\r\nContent-Type: application/json\r\nContent-Length:"

    def begin(connection: Connection) -> bool:
        found = next(waiting, None)
        if found is None:
            return False
        body = json.dumps({"destination": {"name": f"Fleet {found[0]}"}}).encode()
        connection.ask(f"PATCH /destinations/{found[1]} HTTP/1.1\r\n{fields} {len(body)}\r\n\r\n", body)
        return True

    for _ in range(concurrency):
        one = Connection(address.hostname or "", address.port or 80)
        epoll.register(one.socket, select.EPOLLIN)
        if begin(one):
            under_way[one.socket.fileno()] = one
    while under_way:
        for descriptor, _ in epoll.poll():
            one = under_way[descriptor]
            one.hear()
            if one.whole and not begin(one):
                del under_way[descriptor]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
