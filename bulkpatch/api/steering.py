"""What another terminal may ask of a live run: each act is on record before it is answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from bulkpatch.api.runfile import facts_of
from bulkpatch.core.quantities import parse_rate
from bulkpatch.core.work import Stop, Why
from bulkpatch.engine.asking import ControlReply, ControlRequest
from bulkpatch.engine.engine import Engine
from bulkpatch.engine.waving import APPROVED
from bulkpatch.errors import ExitCode
from bulkpatch.model import Act, Notice
from bulkpatch.ports import Ceiling, Clock

REFUSED = "BP612"
ACTOR_CHARS_MAX = 100
"""Characters of who it was, in a message."""


class Steering:
    """Carries out requests on ``engine``; ``ceiling`` holds the rate a second time."""

    def __init__(self, engine: Engine, ceiling: Ceiling, clock: Clock) -> None:
        self._engine = engine
        self._ceiling = ceiling
        self._clock = clock

    async def handle(self, request: ControlRequest) -> ControlReply:
        """Do what is asked, once it is durable that it was."""
        handlers: dict[str, Callable[[ControlRequest], Any]] = {
            "pause": self._pause,
            "continue": self._continue,
            "approve": self._approve,
            "throttle": self._throttle,
            "abort": self._abort,
            "status": self._status,
        }
        reply: ControlReply = await handlers[str(request.act)](request)
        self._engine.wake()
        return reply

    async def _record(self, request: ControlRequest, kind: str, **detail: Any) -> None:
        act = Act(at_us=self._clock.wall_us(), kind=kind, actor=request.actor[:200], detail=json.dumps(detail))
        await self._engine.writer.durable(act)

    def _tell(self, request: ControlRequest, words: str) -> None:
        """Those who watch the run see who did what to it."""
        message = f"{request.actor[:ACTOR_CHARS_MAX]} {words}"
        self._engine.dispatcher.notices.append(Notice(code="BP513", message=message))

    async def _pause(self, request: ControlRequest) -> ControlReply:
        await self._record(request, "paused")
        self._engine.dispatcher.paused = True
        self._tell(request, "paused the run")
        in_flight = self._engine.dispatcher.in_flight
        return self._done(f"paused; {in_flight} in flight are waited for. `bulkpatch continue` goes on")

    async def _continue(self, request: ControlRequest) -> ControlReply:
        if not self._engine.dispatcher.paused:
            return self._no("the run is not paused")
        await self._record(request, "continued")
        self._engine.dispatcher.paused = False
        self._tell(request, "let the run go on")
        return self._done("goes on")

    async def _approve(self, request: ControlRequest) -> ControlReply:
        wave = self._engine.dispatcher.wave
        number = wave.wave.number
        if not wave.awaits:
            return self._no(f"nothing waits for approval: wave {number} is {wave.phase}")
        await self._record(request, APPROVED, wave=number, reason=wave.reason)
        wave.approve()
        self._tell(request, f"approved wave {number}")
        return self._done(f"wave {number} is approved: the next one begins")

    async def _throttle(self, request: ControlRequest) -> ControlReply:
        dispatcher = self._engine.dispatcher
        if request.argument.strip() == "?":
            return self._done(str(dispatcher.limits.rate))
        try:
            rate = parse_rate(request.argument)
        except ValueError as error:
            return self._no(str(error))
        before = str(dispatcher.limits.rate)
        await self._record(request, "throttled", rate=str(rate), before=before)
        dispatcher.set_rate(rate)
        self._ceiling.set_rate(rate)
        self._tell(request, f"set the rate to {rate} (before: {before})")
        return self._done(f"at most {rate} from now on (before: {before})")

    async def _abort(self, request: ControlRequest) -> ControlReply:
        await self._record(request, "aborted")
        reason = f"aborted by {request.actor[:ACTOR_CHARS_MAX]}"
        self._engine.stop(Stop(why=Why.SIGNAL, code="BP507", reason=reason, exit_code=ExitCode.STOPPED))
        return self._done("stopping; what is in flight is waited for")

    async def _status(self, _: ControlRequest) -> ControlReply:
        return self._done("")

    def _done(self, message: str) -> ControlReply:
        return ControlReply(ok=True, message=message, details=self._details())

    def _no(self, message: str) -> ControlReply:
        return ControlReply(ok=False, message=message, code=REFUSED, details=self._details())

    def _details(self) -> dict[str, Any]:
        dispatcher, snapshot = self._engine.dispatcher, self._engine.snapshot()
        return {
            **facts_of(snapshot),
            "rate": str(dispatcher.limits.rate),
            "wave": dispatcher.wave.wave.number,
            "phase": str(dispatcher.wave.phase),
            "reason": dispatcher.wave.reason,
            "total": snapshot.total,
        }
