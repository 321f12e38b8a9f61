"""What holds another package's transport to the port."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from bulkpatch.errors import Broken
from bulkpatch.model import Fault, FaultKind, Reply, Request, Result
from bulkpatch.ports import Clock, Transport
from bulkpatch.transport.rules import BODY_BYTES_MAX, DECIDING, host_of, sendable, unsendable

LATE_S: Final = 1.0
"""Seconds that a transport may come late with its own timeout before it is cancelled."""
CLOSE_S_MAX: Final = 5.0
"""Seconds that it has to close: nothing is under way any more."""
DETAIL_CHARS_MAX: Final = 200
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}", re.ASCII)
"""Ours have left nothing else of a redirect."""
_STATUSES: Final = range(100, 1000)


class HeldTransport:
    """ports.Transport: ``inner``, and whatever it does against the port is a fault of the request, in doubt.

    It is told of no path that could mean another address, and cancelled if it is late. Times are of ``clock``, taken
    here: what ``inner`` tells of them paces nothing. An answer that is too large, and headers that decide nothing, go.
    """

    def __init__(self, inner: Transport, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock

    async def send(self, request: Request, *, timeout_s: float, on_sent: Callable[[float], None]) -> Result:
        """See ports.Transport."""
        began_s = self._clock.monotonic()
        if not sendable(request.path):
            return unsendable(began_s)
        left_at_s: list[float] = []

        def left(_: float) -> None:
            if not left_at_s:
                left_at_s.append(self._clock.monotonic())
                on_sent(left_at_s[0])

        try:
            async with asyncio.timeout(timeout_s + LATE_S):
                told = await self._inner.send(request, timeout_s=timeout_s, on_sent=left)
            result = _checked(told, left=bool(left_at_s))
        except Broken:  # ours, inside of it: more in flight than there are places
            raise
        except TimeoutError:
            result = _fault(FaultKind.TIMEOUT, "")
        except Exception as error:  # noqa: BLE001  (whatever another package raises: it may have sent all of it)
            result = _fault(FaultKind.UNCLASSIFIED, type(error).__name__)
        return replace(result, sent_at_s=left_at_s[0] if left_at_s else began_s, ended_at_s=self._clock.monotonic())

    async def aclose(self) -> None:
        """See ports.Transport. How it fails to close is nobody's concern any more."""
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._inner.aclose()


def _checked(told: object, *, left: bool) -> Result:
    """``told`` if it is a result as the port has it. ``left``: it said that the request left."""
    match told:
        case Reply(status=int() as status, headers=headers, body=bytes() as body) if status in _STATUSES:
            if len(body) > BODY_BYTES_MAX:
                return _fault(FaultKind.TOO_LARGE, "")
            return replace(told, headers=_deciding(headers))
        case Fault(kind=FaultKind() as kind, sent=bool() as sent, detail=str() as detail):
            # What left may have been applied, but for what the server itself said that it did not take.
            sent = sent or (left and kind is not FaultKind.REFUSED_STREAM)
            return replace(told, sent=sent, detail=detail[:DETAIL_CHARS_MAX])
        case _:
            return _fault(FaultKind.UNCLASSIFIED, f"a {type(told).__name__} that is no answer")


def _deciding(headers: Mapping[str, str]) -> dict[str, str]:
    kept = {name.lower(): str(value) for name, value in headers.items() if name.lower().encode() in DECIDING}
    if "location" in kept:
        kept["location"] = kept["location"] if _HOST.fullmatch(kept["location"]) else host_of(kept["location"], "")
    return kept


def _fault(kind: FaultKind, detail: str) -> Fault:
    return Fault(kind=kind, sent=True, detail=detail, sent_at_s=0.0, ended_at_s=0.0)
