"""A transport that tells what passes through another one, for tests and for looking into a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bulkpatch.model import Reply, Request, Result
from bulkpatch.ports import Clock, Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One request and how it ended: neither body nor headers, so no secret.

    ``ending`` is the HTTP status, the kind of fault, or ``cancelled``. ``sent_at_s`` is what
    ``on_sent`` was told (None: it was not). Times are on the monotonic clock.
    """

    method: str
    path: str
    ending: str
    began_at_s: float
    sent_at_s: float | None
    ended_at_s: float


class RecordingTransport:
    """ports.Transport: ``inner``, with each request told to ``sink`` once it has ended."""

    def __init__(self, inner: Transport, sink: Callable[[Sending], None], clock: Clock) -> None:
        self._inner = inner
        self._sink = sink
        self._clock = clock

    async def send(self, request: Request, *, timeout_s: float, on_sent: Callable[[float], None]) -> Result:
        """See ports.Transport."""
        began_at_s, sent_at_s = self._clock.monotonic(), None

        def note(at_s: float) -> None:
            nonlocal sent_at_s
            sent_at_s = at_s
            on_sent(at_s)

        ending = "failed"
        try:
            result = await self._inner.send(request, timeout_s=timeout_s, on_sent=note)
            ending = str(result.status) if isinstance(result, Reply) else result.kind.value
        except asyncio.CancelledError:
            ending = "cancelled"
            raise
        finally:
            self._sink(
                Sending(
                    method=request.method,
                    path=request.path,
                    ending=ending,
                    began_at_s=began_at_s,
                    sent_at_s=sent_at_s,
                    ended_at_s=self._clock.monotonic(),
                )
            )
        return result

    async def aclose(self) -> None:
        """See ports.Transport."""
        await self._inner.aclose()
