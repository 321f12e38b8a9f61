"""The fast transport: libcurl over HTTP/1.1, through pycurl's multi interface on the event loop.

libcurl's own retry of a request on a connection that turned out dead is cut off: see CurlSlot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import certifi
import pycurl

from bulkpatch.errors import Broken
from bulkpatch.model import Request, Result, Secret
from bulkpatch.ports import Clock
from bulkpatch.prequel.requests import API_VERSION, KEY_HEADER, VERSION_HEADER
from bulkpatch.transport.curl_multi import CurlMulti
from bulkpatch.transport.curl_slot import CurlSlot
from bulkpatch.transport.rules import BODY_BYTES_MAX, IDLE_S_MAX, checked, sendable, unsendable
from bulkpatch.transport.tls import make_context

_LIBCURL_MIN = 0x080A00
"""8.10, the first that tells when the last byte of a request has left."""
if pycurl.version_info()[2] < _LIBCURL_MIN:
    raise ImportError(f"libcurl 8.10 or newer, and here is {pycurl.version_info()[1]}", name="libcurl")


class CurlTransport:
    """ports.Transport over libcurl; at most ``concurrency`` connections, each used again while it is whole.

    Raises ``InvalidInput`` for an address the key must not go to, a key that no header can carry, or a
    ``ca_file`` that does not hold certificates.
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
        self._url = checked(base_url, key)
        address = urlsplit(self._url)
        self._prefix = address.path.rstrip("/")
        self._host = f"{address.hostname}:{address.port or (443 if address.scheme == 'https' else 80)}"
        self._tls = address.scheme == "https"
        self._key = key
        self._concurrency = concurrency
        self._clock = clock
        self._user_agent = user_agent
        if ca_file is not None:
            make_context(ca_file)  # refuses a file that holds no certificates
        self._authorities = str(ca_file or certifi.where())
        self._multi = CurlMulti(concurrency, self._turned)
        self._leaving: list[CurlSlot] = []
        self._under_way: dict[Any, CurlSlot] = {}
        self._slots: list[CurlSlot] = []
        self._free: list[CurlSlot] = []
        self._closed = False

    async def send(self, request: Request, *, timeout_s: float, on_sent: Callable[[float], None]) -> Result:
        """See ports.Transport."""
        if not sendable(request.path):
            return unsendable(self._clock.monotonic())
        slot = self._take()
        if slot.shape != request.method:
            self._shape(slot.easy, request)
            slot.shape = request.method
        answer = slot.prepare(request, self._prefix + request.path, timeout_s, on_sent)
        self._under_way[slot.easy] = slot
        self._multi.start(slot.easy)
        try:
            return await answer
        except asyncio.CancelledError:
            if slot.answer is answer and self._under_way.pop(slot.easy, None) is not None:
                self._multi.drop(slot.easy)
                self._free.append(slot)
            raise

    async def aclose(self) -> None:
        """See ports.Transport. What is still under way ends as reset."""
        if self._closed:
            return
        self._closed = True
        self._turned([(easy, pycurl.E_RECV_ERROR, "closed") for easy in self._under_way])
        self._multi.close()
        for slot in self._slots:
            slot.easy.close()

    def _turned(self, ended: list[tuple[Any, int, str]]) -> None:
        """Tell of the requests that have left, then of those that have ended."""
        if self._leaving:
            if self._tls:
                for slot in self._leaving:
                    slot.turn_away_what_was_there()
            self._leaving[:] = [slot for slot in self._leaving if not slot.left()]
        for easy, code, words in ended:
            slot = self._under_way[easy]
            self._multi.drop(easy)
            if slot.is_stale:
                slot.is_stale = False
                self._multi.start(easy)
            else:
                del self._under_way[easy]
                self._free.append(slot)
                slot.finish(code, words)

    def _take(self) -> CurlSlot:
        if self._free:
            return self._free.pop()
        if len(self._slots) >= self._concurrency:
            raise Broken("BP901", f"more than {self._concurrency} requests in flight")
        slot = CurlSlot(self._easy(), self._clock, self._host, self._multi, self._leaving, tls=self._tls)
        self._slots.append(slot)
        return slot

    def _shape(self, easy: Any, request: Request) -> None:
        """Make ``easy`` one for requests like this. libcurl keeps the key until it is closed."""
        headers = [
            "Accept: application/json",
            "Accept-Encoding: identity",
            f"{VERSION_HEADER}: {API_VERSION}",
            f"{KEY_HEADER}: {self._key.reveal()}",
        ]
        if request.body is None:
            easy.setopt(pycurl.HTTPGET, 1)
        else:
            easy.setopt(pycurl.POST, 1)
            headers += ["Content-Type: application/json", "Expect:"]
        easy.setopt(pycurl.CUSTOMREQUEST, request.method)
        easy.setopt(pycurl.HTTPHEADER, headers)

    def _easy(self) -> Any:
        """A handle that does what is asked of it and nothing more."""
        easy = pycurl.Curl()
        for option, value in (
            (pycurl.URL, self._url),
            (pycurl.USERAGENT, self._user_agent),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PROXY, ""),
            (pycurl.NOPROXY, "*"),
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.NOSIGNAL, 1),
            (pycurl.MAXFILESIZE_LARGE, BODY_BYTES_MAX),
            (pycurl.MAXAGE_CONN, int(IDLE_S_MAX)),
            (pycurl.CAINFO, self._authorities),
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
        ):
            easy.setopt(option, value)
        easy.unsetopt(pycurl.CAPATH)
        return easy
