"""What the tests of the stores share: a server on loopback, SDKs made of a few lines, and what a resolver says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from secrets_rig import ASCII, RealClock

from bulkpatch.errors import StoreFailed
from bulkpatch.secrets.kinds import Surroundings
from bulkpatch.secrets.pace import Pace
from bulkpatch.secrets.resolver import Resolver

STALE = "previous-value-1"


def resolved(resolver: Resolver, *references: str) -> list[tuple[str, str | None]]:
    """Check them as before a run, then ask for all at the same moment."""
    assert resolver.hold(references) == {}

    async def ask() -> list[tuple[str, str | None]]:
        secrets = await asyncio.gather(*(resolver.resolve(reference) for reference in references))
        return [(secret.reveal(), secret.version) for secret in secrets]

    return asyncio.run(ask())


def refusal(resolver: Resolver, reference: str) -> str:
    """With what message it fails when its turn comes; never with the canary or a cause."""
    with pytest.raises(StoreFailed) as failed:
        asyncio.run(resolver.resolve(reference))
    assert failed.value.code == "BP306"
    assert failed.value.__cause__ is None
    assert ASCII not in f"{failed.value.message}{failed.value.hint}{failed.value!r}{failed.value.args}"
    assert failed.value.message.startswith(f"{reference}: ")
    return failed.value.message.removeprefix(f"{reference}: ")


def surroundings(folder: Path, environ: Mapping[str, str], *, answer_s: float = 10.0) -> Surroundings:
    """What a store is opened with."""
    clock = RealClock()
    return Surroundings(environ=environ, folder=folder, clock=clock, pace=Pace(None, clock), answer_s=answer_s)


@dataclass(kw_only=True)
class Asked:
    """One request that came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(kw_only=True)
class Loopback:
    """A server whose ``answer`` gives status and JSON; None keeps the client waiting until the test ends."""

    answer: Callable[[Asked], tuple[int, Any] | None]
    port: int = 0
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(
    answer: Callable[[Asked], tuple[int, Any] | None],
    wrap: Callable[[Any], Any] = lambda socket: socket,
    location: str = "",
) -> Iterator[Loopback]:
    """A ``Loopback`` in a thread; ``wrap`` may put TLS around its socket."""
    loopback = Loopback(answer=answer)
    over = Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            asked = Asked(path=self.path, headers=dict(self.headers), body=body)
            loopback.asked.append(asked)
            told = loopback.answer(asked)
            if told is None:
                over.wait(30)
                self.close_connection = True
                return
            status, content = told
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815 - http.server looks for this name

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = wrap(server.socket)
    server.daemon_threads = True
    loopback.port = server.server_port
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield loopback
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def packages(folder: Path, modules: Mapping[str, str]) -> None:
    """Write modules by their dotted names."""
    for name, text in modules.items():
        path = folder.joinpath(*name.split("."))
        path.mkdir(parents=True, exist_ok=True)
        (path / "__init__.py").write_text(text)
