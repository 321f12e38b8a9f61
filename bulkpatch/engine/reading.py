"""Requests that belong to no row: reads, under the same rate as everything else, tried again like everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from bulkpatch.core.adaptive import AdaptiveSpeed
from bulkpatch.core.hints import WAIT_S_MAX
from bulkpatch.core.judge import judge_fault, judge_reply
from bulkpatch.core.pacer import Pacer
from bulkpatch.core.work import BACKOFF_BASE_S, BACKOFF_S_MAX, THROTTLE_BASE_S, Stop
from bulkpatch.engine.gate import Gate
from bulkpatch.errors import ExitCode, KeyRefused, Unreachable
from bulkpatch.model import Answer, Limits, Reply, Request, Verdict, VerdictKind
from bulkpatch.ports import Ceiling, Clock, Transport
from bulkpatch.prequel.replies import read_error_message

THROTTLES_MAX: Final = 10
"""Times one read is told to wait before it is given up, as with rows."""
_SUCCESS: Final = range(200, 300)
TOO_LARGE: Final = "BP412"
"""The code of an answer that is larger than is read."""
_NO_ROUTE: Final = frozenset({404, 405, 501})
"""What an API says that does not have the call; asking again would not help."""


class Turns:
    """Whose turn it is to read: the pacer that the run will go on with, so that no window is ever too full."""

    def __init__(self, pacer: Pacer, speed: AdaptiveSpeed) -> None:
        self.pacer = pacer
        self.speed = speed
        self.stopped: Stop | None = None

    def ready_at(self, now_s: float) -> float:
        """When the next request may leave."""
        self.pacer.set_speed(self.speed.at(now_s))
        return self.pacer.ready_at(now_s)

    def grant(self, now_s: float) -> None:
        """One request takes its place in the rate."""
        self.pacer.grant(now_s)


class Reader:
    """Reads one answer after the other, or several at once; use it as a context.

    ``reads`` counts the requests that left.
    """

    def __init__(  # noqa: PLR0913  (the seams of one thing, each by name)
        self,
        *,
        transport: Transport,
        ceiling: Ceiling,
        clock: Clock,
        draw: Callable[[], float],
        limits: Limits,
        turns: Turns,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._draw = draw
        self._limits = limits
        self._turns = turns
        self._gate = Gate(turns, ceiling, clock)
        self._gate_task: asyncio.Task[None] | None = None
        self.reads = 0

    async def __aenter__(self) -> Self:
        self._gate_task = asyncio.create_task(self._gate.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._gate_task is not None:
            self._gate_task.cancel()
            await asyncio.gather(self._gate_task, return_exceptions=True)

    async def ask(self, request: Request) -> Reply:
        """A whole 2xx, or a 4xx that is final. Raises ``KeyRefused``, or ``Unreachable`` when attempts ran out.

        ``Unreachable`` too where the API asks for a longer wait than is honoured.
        """
        tried = throttled = 0
        while True:
            await self._gate.pass_through()
            verdict, reply = await self._attempt(request)
            if reply is not None:
                return reply
            if verdict.kind is VerdictKind.HALT:
                raise _halted(verdict)
            if verdict.pause_s is not None:
                self._turns.pacer.hold_until(self._clock.monotonic() + verdict.pause_s)
            if verdict.throttled:
                throttled += 1
            else:
                tried += 1
            spent = tried >= self._limits.attempts or throttled > THROTTLES_MAX
            if spent or verdict.code == TOO_LARGE:  # what is too large is so again
                raise Unreachable(verdict.code or "BP407", f"the fleet could not be read: {verdict.message}")
            await self._wait(verdict, tried, throttled)

    async def _attempt(self, request: Request) -> tuple[Verdict, Reply | None]:
        """The verdict, and the reply if it is one to be read."""
        left: list[float] = []

        def on_sent(at_s: float) -> None:
            left.append(at_s)
            self._turns.pacer.sent(at_s)
            self._gate.left()

        self.reads += 1
        try:
            result = await self._transport.send(request, timeout_s=self._limits.timeout_s, on_sent=on_sent)
        finally:
            if not left:
                on_sent(self._clock.monotonic())
        if not isinstance(result, Reply):
            return judge_fault(result), None
        verdict = self._judge(result)
        self._turns.speed.answered(self._clock.monotonic(), sent_s=left[0], refused=verdict.throttled)
        return verdict, result if verdict.kind in {VerdictKind.ACCEPTED, VerdictKind.FINAL} else None

    def _judge(self, reply: Reply) -> Verdict:
        if reply.status in _SUCCESS or reply.status in _NO_ROUTE:
            return Verdict(kind=VerdictKind.ACCEPTED)
        answer = Answer(success=False, message=read_error_message(reply))
        return judge_reply(reply, answer, wall_us=self._clock.wall_us(), accepted=0)

    async def _wait(self, verdict: Verdict, tried: int, throttled: int) -> None:
        chance = self._draw()
        if verdict.throttled:
            backoff_s = chance * min(BACKOFF_S_MAX, THROTTLE_BASE_S * 2.0 ** max(0, throttled - 1))
            wait_s = max(backoff_s, min(verdict.retry_after_s or 0.0, WAIT_S_MAX))
            if self._turns.speed.closed:
                self._turns.pacer.hold_until(self._clock.monotonic() + wait_s)
        else:
            wait_s = chance * min(BACKOFF_S_MAX, BACKOFF_BASE_S * 2.0 ** max(0, tried - 1))
        await asyncio.sleep(wait_s)


def _halted(verdict: Verdict) -> KeyRefused | Unreachable:
    kind = KeyRefused if verdict.exit_code == ExitCode.KEY_REFUSED else Unreachable
    return kind(verdict.code or "BP402", verdict.message)
