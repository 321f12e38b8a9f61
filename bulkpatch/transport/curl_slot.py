"""One request at a time over libcurl: how it is asked for, how far it has come, what came back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import pycurl

from bulkpatch.model import Fault, FaultKind, Reply, Request, Result
from bulkpatch.ports import Clock
from bulkpatch.transport.curl_faults import classify, name_of, why_no_socket
from bulkpatch.transport.curl_multi import CurlMulti
from bulkpatch.transport.rules import (
    BODY_BYTES_MAX,
    CONNECT_S_MAX,
    DECIDING,
    HEADER_BYTES_MAX,
    host_of,
    is_plain,
)

_ENCODING: Final = "content-encoding"
ANSWER_US_MIN: Final = 10
"""Microseconds in which no server answers over a network: what lay there before is read in 2 to 5. On loopback the
fastest answers take 7, so one in thousands is doubted there; a stray one read later is told by the id in its body."""
_BEGUN, _ENDED = "a status line", "an empty line"
_LINES_HELD: Final = 1024
"""Header lines whose meaning is held: an API says the same again and again, with a date that changes by the second."""
_GO: Final[int] = pycurl.PREREQFUNC_OK
_ABORT: Final[int] = pycurl.PREREQFUNC_ABORT


class CurlSlot:
    """An easy handle, used for one request after the other.

    ``answer`` is the result of the one under way. When its first byte may leave, the slot puts itself on
    ``leaving``; from then on ``left`` is to be asked.
    """

    def __init__(  # noqa: PLR0913  (what a slot shares with its transport)
        self, easy: Any, clock: Clock, host: str, multi: CurlMulti, leaving: list[CurlSlot], *, tls: bool
    ) -> None:
        self.easy = easy
        self._tls = tls
        self.began_just_now = False
        self.shape = ""
        self.is_stale = False
        self.answer: asyncio.Future[Result] | None = None
        self._clock = clock
        self._host = host
        self._multi = multi
        self._leaving = leaving
        self._timeout_s = 0.0
        self._lines: list[bytes] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._refused = False
        self._connected = False
        self._is_foreign = False
        self._own_port = 0
        self._on_sent: Callable[[float], None] = _nobody
        self._started_at_s: float | None = None
        self._sent_at_s: float | None = None
        easy.setopt(pycurl.PREREQFUNCTION, self._begin)
        easy.setopt(pycurl.SOCKOPTFUNCTION, self._connect)
        easy.setopt(pycurl.HEADERFUNCTION, self._lines.append)
        easy.setopt(pycurl.WRITEFUNCTION, self._hold)

    def prepare(
        self, request: Request, target: str, timeout_s: float, on_sent: Callable[[float], None]
    ) -> asyncio.Future[Result]:
        """Make ``request`` the next one; what is returned will be its answer. ``target`` goes out as it stands."""
        easy, self._on_sent = self.easy, on_sent
        self._lines.clear()
        self._parts.clear()
        self._size, self._refused = 0, False
        self._started_at_s = self._sent_at_s = None
        self.is_stale = self._connected = self._is_foreign = False
        easy.setopt(pycurl.REQUEST_TARGET, target)
        if request.body is not None:
            easy.setopt(pycurl.POSTFIELDS, request.body)
        if timeout_s != self._timeout_s:
            self._timeout_s = timeout_s
            easy.setopt(pycurl.TIMEOUT_MS, max(1, round(timeout_s * 1000)))
            easy.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(min(CONNECT_S_MAX, timeout_s) * 1000)))
        self.answer = asyncio.get_running_loop().create_future()
        return self.answer

    def left(self, *, now: bool = False) -> bool:
        """Whether the last byte was handed to the socket, or ``now`` none will be any more; tells it once.

        The time told is not earlier than they left, so a window that counts it is never too full.
        """
        if self._sent_at_s is None and (now or self.easy.getinfo(pycurl.POSTTRANSFER_TIME_T)):
            self._sent_at_s = self._clock.monotonic()
            self._on_sent(self._sent_at_s)
        return self._sent_at_s is not None

    def turn_away_what_was_there(self) -> None:
        """An answer that is here as soon as the request has left is not one to it; asked after the same turn.

        Over TLS, what the last answer brought too much may lie with OpenSSL, where no socket tells of it; libcurl
        reads it in the same step in which it writes the request.
        """
        if self._tls and self.began_just_now and self._lines and not self._connected:
            left_us = self.easy.getinfo(pycurl.POSTTRANSFER_TIME_T)
            if self.easy.getinfo(pycurl.STARTTRANSFER_TIME_T) - left_us < ANSWER_US_MIN:
                self._is_foreign = True
                self._multi.distrust(self._own_port)
        self.began_just_now = False

    def finish(self, code: int, words: str) -> None:
        """The transfer ended with ``code``."""
        if self._started_at_s is not None:
            self.left(now=True)
        result = self._reply() if code == pycurl.E_OK else self._fault(code, words)
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(result)

    # ── what libcurl tells ───────────────────────────────────────────────────────────────────

    def _begin(self, _peer: str, _own: str, _peer_port: int, own_port: int) -> int:
        """The request is about to be written. A second time would be libcurl's own retry: not without a new intent.

        libcurl does not look at a connection before it uses it again. One that spoke out of turn has been closed,
        or holds what would be taken for the answer.
        """
        if self._started_at_s is not None:
            return _ABORT
        if self._multi.spoke(own_port) and not self._connected:
            self.is_stale = True
            return _ABORT
        self._started_at_s = self._clock.monotonic()
        self._own_port = own_port
        self.began_just_now = True
        self._leaving.append(self)
        return _GO

    def _connect(self, _descriptor: int, _purpose: int) -> int:
        """A new connection is about to be made; for the first sending of a request only, as above."""
        self._connected = True
        allowed: int = pycurl.SOCKOPT_OK if self._started_at_s is None else pycurl.SOCKOPT_ERROR
        return allowed

    def _hold(self, part: bytes) -> int | None:
        self._size += len(part)
        if self._size > BODY_BYTES_MAX:
            self._refused = True
            return 0
        self._parts.append(part)
        return None

    # ── what came of it ──────────────────────────────────────────────────────────────────────

    def _reply(self) -> Result:
        if self._is_foreign:
            return self._made(FaultKind.PROTOCOL, "early answer", sent=True)
        if sum(map(len, self._lines)) > HEADER_BYTES_MAX:
            return self._made(FaultKind.TOO_LARGE, "headers", sent=True)
        headers = _deciding(self._lines)
        if not is_plain(headers.pop(_ENCODING, "")):
            return self._made(FaultKind.ENCODED, "body", sent=True)
        if "location" in headers:
            headers["location"] = host_of(headers["location"], self._host.rpartition(":")[0])
        assert self._sent_at_s is not None  # noqa: S101  (finish has seen to it)
        return Reply(
            status=self.easy.getinfo(pycurl.RESPONSE_CODE),
            headers=headers,
            body=self._parts[0] if len(self._parts) == 1 else b"".join(self._parts),
            sent_at_s=self._sent_at_s,
            ended_at_s=self._clock.monotonic(),
        )

    def _fault(self, code: int, words: str) -> Fault:
        if self._refused:
            return self._made(FaultKind.TOO_LARGE, "body", sent=True)
        started, os_errno = self._started_at_s is not None, self.easy.getinfo(pycurl.OS_ERRNO)
        if code == pycurl.E_COULDNT_CONNECT and not self._connected:
            os_errno = os_errno or why_no_socket()
        kind = classify(code, words, started=started, os_errno=os_errno)
        if code == pycurl.E_GOT_NOTHING and self._lines:
            kind = FaultKind.PROTOCOL  # a head, but of no answer: another protocol was switched to
        return self._made(kind, name_of(code, os_errno), sent=started)

    def _made(self, kind: FaultKind, detail: str, *, sent: bool) -> Fault:
        now_s = self._clock.monotonic()
        return Fault(
            kind=kind,
            sent=sent,
            detail=f"{detail}, {self._host}",
            sent_at_s=now_s if self._started_at_s is None else self._started_at_s,
            ended_at_s=now_s,
        )


def _nobody(_at_s: float) -> None:
    """Nobody is told."""


def _deciding(lines: Sequence[bytes]) -> dict[str, str]:
    """The headers that decide anything, of the final answer: not those of a 1xx before it, nor of a trailer.

    One that stands twice is joined with a comma, for the judge to see both.
    """
    kept: dict[str, str] = {}
    in_head = False
    for line in lines:
        found = _meaning(line)
        if found is None:
            continue
        name, value = found
        if name == _BEGUN:
            kept, in_head = {}, True
        elif name == _ENDED:
            in_head = False
        elif in_head:
            kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept


@lru_cache(_LINES_HELD)
def _meaning(line: bytes) -> tuple[str, str] | None:
    """Name and value of a header line that decides anything; one of the two names below at an end of a head."""
    if line.startswith(b"HTTP/"):
        return _BEGUN, ""
    name, colon, value = line.partition(b":")
    if not name.strip():
        return _ENDED, ""
    name = name.strip().lower()
    if colon and (name in DECIDING or name == b"content-encoding"):
        return name.decode("ascii"), value.strip().decode("latin-1")
    return None
