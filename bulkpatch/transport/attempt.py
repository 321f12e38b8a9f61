"""How far one request has come, as httpcore's own trace tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bulkpatch.model import Fault
from bulkpatch.ports import Clock
from bulkpatch.transport.faults import classify, root_name
from bulkpatch.transport.rules import CONNECT_S_MAX


class Closable(Protocol):
    """A connection of the library."""

    async def aclose(self) -> None:
        """Let go of the socket."""
        ...


class Attempt:
    """One request under way, from its turn to its answer.

    From ``started`` on, bytes may have left. ``on_sent`` is told the time at which all were handed
    to the socket: not earlier than they left, so a window that counts it is never too full.
    """

    __slots__ = ("_clock", "_handshaking", "_limit", "_on_sent", "_stream", "_timeout_s", "sent_at_s", "started_at_s")

    def __init__(self, clock: Clock, on_sent: Callable[[float], None], timeout_s: float) -> None:
        self._clock = clock
        self._on_sent = on_sent
        self._timeout_s = timeout_s
        self._limit: asyncio.Timeout | None = None
        self._stream: Closable | None = None
        self._handshaking = False
        self.started_at_s: float | None = None
        self.sent_at_s: float | None = None

    def limit(self) -> asyncio.Timeout:
        """The attempt's own time limit: that of a connection first, the whole one once writing begins."""
        self._limit = asyncio.timeout(min(CONNECT_S_MAX, self._timeout_s))
        return self._limit

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of what httpcore says it does."""
        match event:
            case "connection.connect_tcp.complete":
                self._stream = info["return_value"]
            case "connection.start_tls.started":
                self._handshaking = True
            case "http11.send_request_headers.started":
                self._start()
            case "http11.send_request_body.complete":
                self.left()

    def _start(self) -> None:
        self.started_at_s = self._clock.monotonic()
        if self._limit is not None and self._timeout_s > CONNECT_S_MAX:
            when = self._limit.when()
            assert when is not None  # noqa: S101  (set in limit; for the type checker)
            self._limit.reschedule(when - CONNECT_S_MAX + self._timeout_s)

    def left(self) -> float:
        """Nothing more of the request will be written; when that was."""
        if self.sent_at_s is None:
            self.sent_at_s = self._clock.monotonic()
            self._on_sent(self.sent_at_s)
        return self.sent_at_s

    def fault(self, error: Exception, host: str) -> Fault:
        """What ``error`` means now. Names its type and ``host``, and nothing it says."""
        kind, sent = classify(error, started=self.started_at_s is not None, handshaking=self._handshaking)
        if sent:
            self.left()
        now_s = self._clock.monotonic()
        return Fault(
            kind=kind,
            sent=sent,
            detail=f"{root_name(error)}, {host}",
            sent_at_s=now_s if self.started_at_s is None else self.started_at_s,
            ended_at_s=now_s,
        )

    async def abandon(self) -> None:
        """Close the socket, which the library forgets if it is cancelled during the TLS handshake."""
        if self._stream is not None:
            await self._stream.aclose()
