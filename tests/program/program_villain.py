"""An API that does everything wrong, and says all that it was told while doing so."""

from __future__ import annotations

import gzip
import json
import socket
import socketserver
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from program_parrot import Asked

STALL_S = 1.6
"""Longer than the time limit of the jobs that are sent here."""
ENDLESS_BYTES = 4 * 1024 * 1024
LINE_MAX = 1500
"""Characters of an echo in a header: more would be refused for its size and not be read."""


@dataclass(frozen=True, kw_only=True)
class Talk:
    """One request and the connection that it came on."""

    asked: Asked
    password: str
    socket: socket.socket

    @property
    def told(self) -> str:
        """All that was told of secrets, in one text, the password also as it is."""
        return f"{self.asked.headers['x-api-key']} {self.password} {self.asked.body.decode()}"

    @property
    def line(self) -> str:
        """The same where one line of ASCII belongs."""
        return " ".join(self.told.encode("ascii", "ignore").decode().split())[:LINE_MAX]

    def say(self, data: bytes) -> None:
        """Write it out."""
        self.socket.sendall(data)

    def reply(self, status: str, body: bytes = b"", *, length: int | None = None, **headers: str) -> None:
        """An answer; ``length`` is what it claims of its body, ``headers`` have ``_`` for ``-``."""
        named = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body) if length is None else length),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        self.say(f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body)

    def reset(self) -> None:
        """Hang up with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def envelope(self, status: str = "error", data: object = None) -> bytes:
        """The API's own form, with all that was told as its message."""
        return json.dumps({"status": status, "data": data, "message": self.told}).encode()


def password(asked: Asked) -> str:
    """The secret in a body; a test of what is saved has none."""
    destination = json.loads(asked.body or b"{}").get("destination", {})
    return str(destination.get("postgres", {}).get("password_auth", {}).get("password", ""))


def take(talk: Talk) -> None:
    """What a good API says, and then everything else in every field."""
    destination_id = talk.asked.path.split("/")[2]
    told, line = talk.told, talk.line
    if talk.asked.method == "POST":
        talk.reply("200 OK", talk.envelope("success", {"status": "success", "message": told}), X_Echo=line)
        return
    transfer = {"id": told, "status": told, "model_metrics": [{"model_name": told, "error": {"message": told}}]}
    destination = {"id": destination_id, "name": told, "vendor": told, "last_completed_transfer": transfer}
    talk.reply("200 OK", talk.envelope("success", {"destination": destination}), X_Echo=line, ETag=line)


def refuse(status: str, **headers: str) -> Callable[[Talk], None]:
    """An error that repeats what it was sent."""
    return lambda talk: talk.reply(status, talk.envelope(), length=None, **headers)


def cut(talk: Talk) -> None:
    """Half of an answer, then the end of the connection."""
    body = talk.envelope("success")
    talk.reply("200 OK", body[: len(body) // 2], length=len(body))
    talk.socket.shutdown(socket.SHUT_RDWR)


def cut_by_reset(talk: Talk) -> None:
    """Half of an answer, then RST."""
    body = talk.envelope("success")
    talk.reply("200 OK", body[: len(body) // 2], length=len(body))
    talk.reset()


def without_last_chunk(talk: Talk) -> None:
    """Chunks that come to no end."""
    body = talk.envelope("success")
    talk.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body))
    talk.socket.shutdown(socket.SHUT_RDWR)


def bad_chunk(talk: Talk) -> None:
    """A chunk whose size is a secret."""
    talk.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + talk.line.encode() + b"\r\n")


def stall(talk: Talk) -> None:
    """Nothing, for longer than anyone waits."""
    time.sleep(STALL_S)
    talk.reset()


def dribble(talk: Talk) -> None:
    """A byte at a time, for longer than anyone waits."""
    body = talk.envelope("success")
    talk.reply("200 OK", length=len(body))
    for at in range(int(STALL_S / 0.02)):
        talk.say(body[at : at + 1])
        time.sleep(0.02)
    talk.reset()


def endless(talk: Talk) -> None:
    """More than any answer has, all of it secret."""
    talk.reply("200 OK", length=ENDLESS_BYTES)
    line = talk.told.encode() + b"\n"
    talk.say(line * (ENDLESS_BYTES // len(line)))


def zipped(talk: Talk) -> None:
    """Packed, though nobody asked for it."""
    talk.reply("200 OK", gzip.compress(talk.envelope("success")), Content_Encoding="gzip")


def informed(talk: Talk) -> None:
    """Secrets in interim answers, then a refusal."""
    line = talk.line.encode()
    talk.say(b"".join(b"HTTP/1.1 103 Early Hints\r\nLink: <%b>\r\n\r\n" % line for _ in range(3)))
    talk.reply("422 Unprocessable", talk.envelope())


def garbage(talk: Talk) -> None:
    """No HTTP at all."""
    talk.say(talk.told.encode() + b"\r\n\r\n")
    talk.socket.shutdown(socket.SHUT_RDWR)


def bad_header(talk: Talk) -> None:
    """A header that no parser takes."""
    talk.say(f"HTTP/1.1 200 OK\r\nBad Header {talk.line}\x00: {talk.line}\r\n\r\n".encode())


def many_headers(talk: Talk) -> None:
    """More of them than are read."""
    lines = f"X-Told: {talk.line}\r\n".encode() * 400
    talk.say(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n")


def twice(talk: Talk) -> None:
    """A status that stands twice, and says it both times."""
    told = json.dumps(talk.told)
    talk.reply("200 OK", f'{{"status":"success","status":{told},"message":{told},"data":NaN}}'.encode())


def failed(talk: Talk) -> None:
    """A test that did not pass."""
    error = {"error_code": talk.told, "blame": talk.told, "message": talk.told}
    talk.reply("200 OK", talk.envelope("success", {"status": "failed", "error": error}))


def another(talk: Talk) -> None:
    """A success of another destination, whose id is a secret; the tests before it pass."""
    if talk.asked.method == "POST":
        take(talk)
    else:
        talk.reply("200 OK", talk.envelope("success", {"destination": {"id": talk.told, "name": talk.told}}))


def throttled(talk: Talk) -> None:
    """Too many requests, and a secret where the seconds belong."""
    talk.reply("429 Too Many", talk.envelope(), Retry_After=talk.line, RateLimit=talk.line, RateLimit_Policy=talk.line)


FAULTS: Mapping[str, Callable[[Talk], None]] = {
    "400": refuse("400 Bad Request"),
    "404": refuse("404 Not Found"),
    "409": refuse("409 Conflict"),
    "413": refuse("413 Too Large"),
    "408": refuse("408 Timeout"),
    "425": refuse("425 Too Early"),
    "429": throttled,
    "499": refuse("499 Client Closed"),
    "500": refuse("500 Broken"),
    "502": lambda talk: talk.reply("502 Bad Gateway", f"<html>{talk.told}</html>".encode(), Content_Type="text/html"),
    "503": lambda talk: talk.reply("503 Away", talk.envelope(), Retry_After=talk.line),
    "599": refuse("599 Odd"),
    "202": lambda talk: talk.reply("202 Accepted", talk.envelope("pending")),
    "204": lambda talk: talk.say(f"HTTP/1.1 204 No Content\r\nX-Echo: {talk.line}\r\n\r\n".encode()),
    "reason": lambda talk: talk.reply(f"400 {talk.line}", talk.envelope()),
    "error": lambda talk: talk.reply("200 OK", talk.envelope("error")),
    "odd": lambda talk: talk.reply("200 OK", json.dumps({"status": talk.told, "data": talk.told}).encode()),
    "html": lambda talk: talk.reply("200 OK", f"<html>{talk.told}</html>".encode(), Content_Type="text/html"),
    "twice": twice,
    "failed": failed,
    "empty": lambda talk: talk.reply("200 OK"),
    "reset": Talk.reset,
    "cut": cut,
    "cutreset": cut_by_reset,
    "unchunked": without_last_chunk,
    "badchunk": bad_chunk,
    "stall": stall,
    "dribble": dribble,
    "endless": endless,
    "zipped": zipped,
    "informed": informed,
    "garbage": garbage,
    "badheader": bad_header,
    "headers": many_headers,
}
"""What goes wrong for one row while others go on."""

WAITS = ("408", "425", "429", "503")
"""Those that a run waits out, for half an hour if need be."""

HALTS: Mapping[str, Callable[[Talk], None]] = {
    "401": refuse("401 Unauthorized"),
    "403": refuse("403 Forbidden"),
    **{
        str(status): lambda talk, status=status: talk.reply(  # type: ignore[misc]
            f"{status} Elsewhere",
            talk.envelope(),
            Location=f"https://{talk.line.split(' ')[0]}.example.com/{talk.line}",
        )
        for status in (301, 302, 303, 307, 308)
    },
    "wrongid": another,
}
"""What ends a run."""


@dataclass
class Villain:
    """``with Villain(HALTS["401"]) as villain``: serves ``villain.url`` on loopback.

    An id reads ``STAGE-FAULT-…``: in that stage (``pretest``, ``patch``, ``verify``) it meets the fault; all else is
    taken. Tried again, it meets the fault again where the id says ``ascii``, else a refusal: no breaker opens then.
    ``always`` answers every request instead. By id, ``met`` counts what was done, and ``told`` holds the password.
    """

    always: Callable[[Talk], None] | None = None
    met: Counter[str] = field(default_factory=Counter)
    told: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        villain = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while asked := read(self.rfile):
                    try:
                        villain.answer(asked, self.connection)
                    except OSError:
                        return

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients hang up
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._lock = threading.Lock()
        self._patched: set[str] = set()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, asked: Asked, connection: socket.socket) -> None:
        """Do what the id says."""
        destination_id = asked.path.split("/")[2] if asked.path.count("/") > 1 else ""
        stage, fault, _ = f"{destination_id}--".split("-", 2)
        with self._lock:
            is_patch = asked.method == "PATCH"
            now = "patch" if is_patch else "verify" if destination_id in self._patched else "pretest"
            self._patched |= {destination_id} if is_patch else set()
            self.told[destination_id] = password(asked) or self.told.get(destination_id, "")
            struck = stage == now and fault in FAULTS
            self.met[destination_id] += struck
        talk = Talk(asked=asked, password=self.told[destination_id], socket=connection)
        if asked.method == "GET":
            talk.reply("405 No", b'{"status":"error","data":null,"message":"no such call"}')
        elif self.always is not None:
            self.always(talk)
        elif not struck:
            take(talk)
        elif self.met[destination_id] > 1 and (fault in WAITS or "ascii" not in destination_id):
            FAULTS["400"](talk)
        else:
            FAULTS[fault](talk)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def read(stream: Any) -> Asked | None:
    """The next request of a connection; None at its end."""
    try:
        line = stream.readline().decode("latin-1").split(" ")
        headers: dict[str, str] = {}
        while name := stream.readline().decode("latin-1").strip():
            key, _, value = name.partition(":")
            headers[key.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
    except (OSError, ValueError):
        return None
    if len(line) < 3 or len(body) < int(headers.get("content-length", 0)):
        return None
    return Asked(method=line[0], path=line[1], headers=headers, body=body)
