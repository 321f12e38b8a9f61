"""The default transport: httpx, one single-connection client per request in flight.

One shared client would rescan its pool on every request. What was sent is told from httpcore's own
trace: until it starts to write the headers, no byte of the request has left.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bulkpatch.model import Fault, FaultKind, Reply, Request, Result, Secret
from bulkpatch.ports import Clock
from bulkpatch.transport.tls import is_identity, make_context

BODY_BYTES_MAX = 1024 * 1024
"""Bytes of a reply's body: a destination is a few KB, a page of 100 some hundred KB."""
CONNECT_S_MAX = 5.0
"""Seconds for a connection to be made."""
IDLE_S = 4.0
"""Seconds that an idle connection is kept: below the 5 s at which common servers close theirs."""
_DECIDING = ("retry-after", "ratelimit", "ratelimit-policy", "date", "location", "content-type")
_PATH = re.compile(r"/destinations(?:/[A-Za-z0-9_-]{1,128}(?:/[a-z-]+)?)?(?:\?[A-Za-z0-9_=&%.-]*)?", re.ASCII)
_NEVER_SENT = {
    httpx.ConnectTimeout: FaultKind.CONNECT_TIMEOUT,
    httpx.PoolTimeout: FaultKind.CONNECT_TIMEOUT,
    httpx.UnsupportedProtocol: FaultKind.INVALID_REQUEST,
    httpx.InvalidURL: FaultKind.INVALID_REQUEST,
    httpx.LocalProtocolError: FaultKind.INVALID_REQUEST,
}
_SENT = {
    httpx.ReadTimeout: FaultKind.TIMEOUT,
    httpx.WriteTimeout: FaultKind.TIMEOUT,
    TimeoutError: FaultKind.TIMEOUT,
    httpx.ReadError: FaultKind.RESET,
    httpx.WriteError: FaultKind.RESET,
    httpx.CloseError: FaultKind.RESET,
}


class _TooLarge(Exception):
    """The body went over its limit."""


class _Encoded(Exception):
    """The body is compressed though that was not asked for."""


class _Attempt:
    """What is known of one request while it is under way."""

    __slots__ = ("clock", "on_sent", "sent_at_s", "started")

    def __init__(self, clock: Clock, on_sent: Callable[[float], None]) -> None:
        self.clock = clock
        self.on_sent = on_sent
        self.started = False
        self.sent_at_s: float | None = None

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        """Take note of what httpcore says it does."""
        if event == "http11.send_request_headers.started":
            self.started = True
        elif event == "http11.send_request_body.complete":
            self.left()

    def left(self) -> None:
        """The request's last byte was handed to the socket."""
        if self.sent_at_s is None:
            self.sent_at_s = self.clock.monotonic()
            self.on_sent(self.sent_at_s)


class HttpxTransport:
    """ports.Transport over HTTP/1.1."""

    def __init__(  # noqa: PLR0913  (the settings of one thing, each by name)
        self,
        *,
        base_url: str,
        key: Secret,
        concurrency: int,
        clock: Clock,
        user_agent: str,
        ca_file: Path | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._host = urlsplit(base_url).netloc
        self._clock = clock
        self._headers = [
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"identity"),
            (b"User-Agent", user_agent.encode()),
            (b"X-Prequel-Api-Version", b"2023-12-01"),
            (b"X-API-KEY", key.reveal().encode()),
        ]
        context: ssl.SSLContext | bool = make_context(ca_file) if base_url.startswith("https:") else False
        self._clients = [self._client(context) for _ in range(concurrency)]
        self._free = list(self._clients)

    @staticmethod
    def _client(context: ssl.SSLContext | bool) -> httpx.AsyncClient:  # noqa: FBT001  (as httpx takes it)
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=IDLE_S)
        transport = httpx.AsyncHTTPTransport(verify=context, http1=True, http2=False, limits=limits, trust_env=False)
        return httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False, timeout=None)  # noqa: S113

    async def send(self, request: Request, *, timeout_s: float, on_sent: Callable[[float], None]) -> Result:
        """See ports.Transport."""
        attempt = _Attempt(self._clock, on_sent)
        if not _PATH.fullmatch(request.path):
            return self._fault(FaultKind.INVALID_REQUEST, "path", attempt)
        client = self._free.pop()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(client, request, attempt, timeout_s)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever a library raises is a fault, in doubt unless shown not to be)
            client.cookies.clear()
            return self._fault(self._kind(error, attempt), _detail(error, self._host), attempt)
        finally:
            self._free.append(client)

    async def _exchange(
        self, client: httpx.AsyncClient, request: Request, attempt: _Attempt, timeout_s: float
    ) -> Reply:
        headers = list(self._headers)
        if request.body is not None:
            headers.append((b"Content-Type", b"application/json"))
        connect_s = min(CONNECT_S_MAX, timeout_s)
        outgoing = httpx.Request(
            request.method,
            self._base_url + request.path,
            headers=headers,
            content=request.body,
            extensions={"trace": attempt.trace, "timeout": {"connect": connect_s}},
        )
        reply = await client.send(outgoing, stream=True)
        try:
            attempt.left()
            body = await _whole_body(reply)
        finally:
            await reply.aclose()
        client.cookies.clear()
        return Reply(
            status=reply.status_code,
            headers=_deciding(reply.headers),
            body=body,
            sent_at_s=attempt.sent_at_s or self._clock.monotonic(),
            ended_at_s=self._clock.monotonic(),
        )

    def _kind(self, error: Exception, attempt: _Attempt) -> FaultKind:
        if isinstance(error, _TooLarge):
            return FaultKind.TOO_LARGE
        if isinstance(error, _Encoded):
            return FaultKind.ENCODED
        if attempt.started:
            truncated = isinstance(error, httpx.RemoteProtocolError) and "incomplete" in str(error)
            fallback = FaultKind.PROTOCOL if isinstance(error, httpx.ProtocolError) else FaultKind.UNCLASSIFIED
            return FaultKind.TRUNCATED if truncated else _SENT.get(type(error), fallback)
        if isinstance(error, httpx.ConnectError):
            return _connect_kind(error)
        if isinstance(error, TimeoutError):
            return FaultKind.CONNECT_TIMEOUT
        return _NEVER_SENT.get(type(error), FaultKind.UNCLASSIFIED)

    def _fault(self, kind: FaultKind, detail: str, attempt: _Attempt) -> Fault:
        now_s = self._clock.monotonic()
        sent = attempt.started or kind is FaultKind.UNCLASSIFIED
        attempt.left()
        return Fault(kind=kind, sent=sent, detail=detail, sent_at_s=attempt.sent_at_s or now_s, ended_at_s=now_s)

    async def aclose(self) -> None:
        """See ports.Transport."""
        for client in self._clients:
            await client.aclose()


async def _whole_body(reply: httpx.Response) -> bytes:
    if reply.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise _Encoded
    length = reply.headers.get("content-length", "")
    if length.isdecimal() and int(length) > BODY_BYTES_MAX:
        raise _TooLarge
    body = bytearray()
    async for chunk in reply.aiter_raw():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise _TooLarge
    return bytes(body)


def _deciding(headers: httpx.Headers) -> dict[str, str]:
    found = {name: ", ".join(headers.get_list(name)) for name in _DECIDING if name in headers}
    if "location" in found:
        found["location"] = urlsplit(found["location"]).hostname or "another path"
    return found


def _connect_kind(error: httpx.ConnectError) -> FaultKind:
    if is_identity(error):
        return FaultKind.TLS_IDENTITY
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return FaultKind.TLS
        if isinstance(cause, socket.gaierror):
            return FaultKind.DNS
        if isinstance(cause, ConnectionRefusedError):
            return FaultKind.REFUSED
        if isinstance(cause, OSError) and cause.errno in {errno.EMFILE, errno.ENFILE}:
            return FaultKind.NO_FILES
        cause = cause.__cause__ or cause.__context__
    return FaultKind.REFUSED if "All connection attempts failed" in str(error) else FaultKind.CONNECT


def _detail(error: Exception, host: str) -> str:
    return f"{type(error).__name__.lstrip('_')}, {host}"
