"""A raw-socket server that does to each PATCH what a script says, and a run against it from the library's door."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import pytest
from _pytest.mark import ParameterSet
from api_rig import Bench

from bulkpatch import api
from bulkpatch.model import RunResult

NO_ROUTE: Final = b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 2\r\n\r\n{}"
"""What every read meets: the fleet is not known, and the run goes on."""
NONE: Final[Mapping[str, str]] = {}


def answer(status: int, body: object = None, headers: Mapping[str, str] = NONE) -> bytes:
    """A whole answer; ``body`` is bytes, or what its JSON says."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Content-Length": len(raw), **headers}.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + raw


def done(destination_id: str) -> bytes:
    """A PATCH that went well."""
    return answer(200, {"status": "success", "data": {"destination": {"id": destination_id}}, "message": ""})


def says(message: str) -> dict[str, Any]:
    """An envelope that says no."""
    return {"status": "error", "data": None, "message": message}


def quick_first(*cases: object) -> Sequence[ParameterSet]:
    """Cases of one kind: the first in every run of the tests, the others in the long tier."""
    first, *others = dict.fromkeys(cases)
    return [pytest.param(first), *(pytest.param(one, marks=pytest.mark.long) for one in others)]


class Talk:
    """The server's side of one connection. ``times`` says how often this destination has been asked now."""

    def __init__(self, wire: Wire, connection: socket.socket, destination_id: str, times: int) -> None:
        self.wire = wire
        self.connection = connection
        self.destination_id = destination_id
        self.times = times
        self.open = True

    def say(self, data: bytes) -> None:
        """Write ``data`` out."""
        self.connection.sendall(data)

    def close(self) -> None:
        """End the connection as one does."""
        self.open = False

    def reset(self) -> None:
        """End it with RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.open = False

    def wait(self) -> None:
        """Say nothing until the client lets go."""
        self.wire.wait(self.connection)
        self.open = False


Script: TypeAlias = Callable[[Talk], None]


def once(fault: Script) -> Script:
    """The first attempt of the first destination meets ``fault``; all else goes well."""

    def script(talk: Talk) -> None:
        if talk.times == 1 and talk.destination_id == "d1":
            fault(talk)
        else:
            talk.say(done(talk.destination_id))

    return script


def passing_or_not(fault: Script) -> Script:
    """The first destination meets ``fault`` once, the second always, the others never."""

    def script(talk: Talk) -> None:
        if (talk.destination_id, talk.times) == ("d1", 1) or talk.destination_id == "d2":
            fault(talk)
        else:
            talk.say(done(talk.destination_id))

    return script


def first_row(fault: Script) -> Script:
    """Each attempt of the first destination meets ``fault``; the others go well."""
    return lambda talk: fault(talk) if talk.destination_id == "d1" else talk.say(done(talk.destination_id))


def telling(data: bytes) -> Script:
    """``data``, then the connection is kept."""
    return lambda talk: talk.say(data)


def closing(data: bytes) -> Script:
    """``data``, then the connection ends."""

    def script(talk: Talk) -> None:
        talk.say(data)
        talk.close()

    return script


class Wire:
    """``with Wire(script) as wire``: serves ``wire.url``; ``wire.asked`` names the destination of every PATCH."""

    def __init__(
        self,
        script: Script,
        *,
        reads: Callable[[], bytes] = lambda: NO_ROUTE,
        on_head: Script | None = None,
        on_connection: Callable[[socket.socket], socket.socket | None] = lambda connection: connection,
    ) -> None:
        self.script = script
        self.reads = reads
        self.on_head = on_head
        self.on_connection = on_connection
        self.asked: list[str] = []
        self.heads: list[bytes] = []
        self.at_s: list[float] = []
        self.connections = 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._ended = False
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self.stop_listening()
        for thread in self._threads:
            thread.join(10)

    @property
    def times(self) -> Mapping[str, int]:
        """How often each destination was asked to change."""
        return Counter(self.asked)

    def stop_listening(self) -> None:
        """From now on connections are refused."""
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()

    def wait(self, connection: socket.socket) -> None:
        """Until the other side lets go, or the test ends."""
        connection.settimeout(0.05)
        while not self._ended:
            try:
                if not connection.recv(65536):
                    return
            except TimeoutError:
                continue

    def _begin(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.connections += 1
            self._begin(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            used = self.on_connection(connection)
            while used is not None and self._one(used):
                pass

    def _one(self, connection: socket.socket) -> bool:
        """One request; whether another may come."""
        head = self._until(connection, b"\r\n\r\n")
        if head is None:
            return False
        head, _, body = head.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        if method == "PATCH" and self.on_head is not None:
            return self._carry_out(self.on_head, connection, path, head)
        wanted = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")), 0)
        while len(body) < wanted:
            more = connection.recv(65536)
            if not more:
                return False
            body += more
        if method != "PATCH":
            connection.sendall(self.reads())
            return True
        return self._carry_out(self.script, connection, path, head)

    def _carry_out(self, script: Script, connection: socket.socket, path: str, head: bytes) -> bool:
        destination_id = path.rsplit("/", 1)[1]
        with self._lock:
            self.asked.append(destination_id)
            self.heads.append(head)
            self.at_s.append(time.monotonic())
            times = self.times[destination_id]
        talk = Talk(self, connection, destination_id, times)
        script(talk)
        return talk.open

    def _until(self, connection: socket.socket, end: bytes) -> bytes | None:
        read = b""
        connection.settimeout(0.05)
        while end not in read:
            try:
                more = connection.recv(65536)
            except TimeoutError:
                if self._ended:
                    return None
                continue
            if not more:
                return None
            read += more
        connection.settimeout(10)
        return read


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run that is over: how, where each row stands, and what the server saw."""

    result: RunResult
    rows: Sequence[Mapping[str, Any]]
    wire: Wire = field(repr=False)

    @property
    def states(self) -> Sequence[str]:
        """Where each row ended."""
        return [row["state"] for row in self.rows]


def job_of(bench: Bench, url: str, count: int, **send: object) -> Path:
    """A job that renames ``count`` destinations d1, d2, …; ``send`` overrides what stands under [send]."""
    path = bench.job([{"destination_id": f"d{number}", "name": "New"} for number in range(1, count + 1)], url)
    send = {"attempts": 2, "concurrency": 1, "timeout": "5s", **send}
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in send.items())
    text = path.read_text().replace("attempts = 1", lines)
    path.write_text(text.replace('rate = "1000/s"\n', "" if "rate" in send else 'rate = "1000/s"\n'))
    return path


def ended(folder: Path, script: Script, *, count: int = 2, **send: object) -> Ended:
    """Run such a job against ``script`` to its end."""
    bench = Bench(folder)
    with Wire(script) as wire:
        return run_on(bench, wire, job_of(bench, wire.url, count, **send))


def run_on(bench: Bench, wire: Wire, job: Path) -> Ended:
    """Run ``job``."""
    result = api.run(job, bench.options())
    return Ended(result=result, rows=bench.outcomes(result).to_dicts(), wire=wire)
