"""The default transport: httpx over HTTP/1.1, one pool of a single connection for each request in flight.

One shared pool would rescan itself on every request. httpx's client is left out, and with it what must
not be had: redirects, cookies, proxies of the environment, retries and a log line a request.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import httpx

from bulkpatch.errors import Broken
from bulkpatch.model import FaultKind, Reply, Request, Result, Secret
from bulkpatch.ports import Clock
from bulkpatch.prequel.requests import API_VERSION, KEY_HEADER, VERSION_HEADER
from bulkpatch.transport.attempt import Attempt
from bulkpatch.transport.faults import Refused
from bulkpatch.transport.rules import (
    BODY_BYTES_MAX,
    HEADER_BYTES_MAX,
    IDLE_S_MAX,
    MISDIRECTED,
    checked,
    deciding,
    is_plain,
    sendable,
    unsendable,
)
from bulkpatch.transport.tls import make_context


class HttpxTransport:
    """ports.Transport over httpx; at most ``concurrency`` connections, each used again while it is whole.

    ``key`` is revealed only while a request is made. Raises ``InvalidInput`` for an address the key must
    not go to, a key that no header can carry, or a ``ca_file`` that does not hold certificates.
    """

    def __init__(  # noqa: PLR0913  (the settings of one thing, each by name)
        self,
        base_url: str,
        key: Secret,
        *,
        concurrency: int,
        clock: Clock,
        user_agent: str,
        ca_file: Path | None = None,
    ) -> None:
        self._url = httpx.URL(checked(base_url, key))
        self._prefix = self._url.raw_path.rstrip(b"/")
        self._host = f"{self._url.host}:{self._url.port or (443 if self._url.scheme == 'https' else 80)}"
        self._key = key
        self._concurrency = concurrency
        self._clock = clock
        self._context = make_context(ca_file)
        self._headers = [
            (b"Host", self._url.netloc),
            (b"User-Agent", user_agent.encode("ascii")),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"identity"),
            (VERSION_HEADER.encode(), API_VERSION.encode()),
        ]
        self._slots: set[_Slot] = set()
        self._free: list[_Slot] = []

    async def send(self, request: Request, *, timeout_s: float, on_sent: Callable[[float], None]) -> Result:
        """See ports.Transport."""
        if not sendable(request.path):
            return unsendable(self._clock.monotonic())
        attempt = Attempt(self._clock, on_sent, timeout_s)
        slot = self._take()
        whole = False
        try:
            async with attempt.limit():
                reply = await self._exchange(slot, request, attempt)
            whole = reply.status != MISDIRECTED and not slot.has_leftover()
        except Exception as error:  # noqa: BLE001  (whatever a library raises is a fault: classify knows which)
            return attempt.fault(error, self._host)
        else:
            return reply
        finally:
            if whole:
                self._free.append(slot)
            else:
                self._slots.discard(slot)
                await slot.aclose()
                await attempt.abandon()

    async def aclose(self) -> None:
        """See ports.Transport. What is still under way ends as reset."""
        slots, self._free = list(self._slots), []
        self._slots.clear()
        for slot in slots:
            await slot.aclose()

    def _take(self) -> _Slot:
        """The slot that was free last, whose connection is the most likely to live."""
        if self._free:
            return self._free.pop()
        if len(self._slots) >= self._concurrency:
            raise Broken("BP901", f"more than {self._concurrency} requests in flight")
        slot = _Slot(self._context)
        self._slots.add(slot)
        return slot

    async def _exchange(self, slot: _Slot, request: Request, attempt: Attempt) -> Reply:
        response = await slot.handle_async_request(self._outgoing(request, attempt))
        try:
            sent_at_s = attempt.left()
            slot.stream = response.extensions["network_stream"]
            body = await _whole_body(response)
        finally:
            await response.aclose()
        return Reply(
            status=response.status_code,
            headers=deciding(response.headers.raw, self._url.host),
            body=body,
            sent_at_s=sent_at_s,
            ended_at_s=self._clock.monotonic(),
        )

    def _outgoing(self, request: Request, attempt: Attempt) -> httpx.Request:
        """``target`` goes out as it stands, where a URL would be parsed, normalised and quoted anew."""
        headers = [*self._headers, (KEY_HEADER.encode(), self._key.reveal().encode("ascii"))]
        if request.body is not None:
            headers.append((b"Content-Type", b"application/json"))
            headers.append((b"Content-Length", b"%d" % len(request.body)))
        return httpx.Request(
            request.method,
            self._url,
            headers=headers,
            stream=httpx.ByteStream(request.body or b""),
            extensions={"target": self._prefix + request.path.encode("ascii"), "trace": attempt.trace},
        )


class _ExtraInfo(Protocol):
    def get_extra_info(self, info: str) -> Any:
        """``ssl_object`` among others, None if there is none."""


class _Slot(httpx.AsyncHTTPTransport):
    """A pool of one connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=IDLE_S_MAX)
        super().__init__(verify=context, trust_env=False, http1=True, http2=False, retries=0, limits=limits)
        self.stream: _ExtraInfo | None = None

    def has_leftover(self) -> bool:
        """Whether more than the answer has come: it would be taken for the answer to the next request.

        httpcore looks at the socket before it uses a connection again, but not at what was already read:
        h11's buffer and the TLS layer's. The former is reached past two private names; should they
        change, no connection is used again, which is slow and right.
        """
        try:
            for connection in self._pool.connections:
                held: Any = connection._connection  # type: ignore[attr-defined]  # noqa: SLF001  (see above)
                if held._h11_state.trailing_data[0]:  # noqa: SLF001  (see above)
                    return True
        except AttributeError:
            return True
        tls = self.stream.get_extra_info("ssl_object") if self.stream is not None else None
        if tls is None:
            return False
        try:
            tls.read(1)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            return True
        return True


async def _whole_body(response: httpx.Response) -> bytes:
    headers = response.headers
    if sum(len(name) + len(value) for name, value in headers.raw) > HEADER_BYTES_MAX:
        raise Refused(FaultKind.TOO_LARGE)
    if not is_plain(headers.get("content-encoding", "")):
        raise Refused(FaultKind.ENCODED)
    size, parts = 0, []
    async for part in response.stream:  # type: ignore[union-attr]  # an asynchronous transport's stream
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise Refused(FaultKind.TOO_LARGE)
        parts.append(part)
    return b"".join(parts)
