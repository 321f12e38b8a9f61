"""Carries out what the dispatcher decides: slots that send, one gate, one writer, one feeder."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from bulkpatch.core.dispatcher import Dispatcher
from bulkpatch.core.lifecycle import FAILED
from bulkpatch.core.window import SendWindow
from bulkpatch.core.work import Ending, Stop, Why, Work, lost
from bulkpatch.engine.feeder import Feeder
from bulkpatch.engine.gate import Gate
from bulkpatch.engine.stages import Carried, Guards, carried, judge, request_of
from bulkpatch.engine.view import View
from bulkpatch.engine.waiting import moved_or_due
from bulkpatch.engine.waving import Waves, Waving
from bulkpatch.engine.writer import GATHER_S, LedgerWriter
from bulkpatch.errors import CODES, BulkpatchError, ExitCode, LedgerFailed
from bulkpatch.model import (
    AttemptSent,
    Outcome,
    Progressed,
    Record,
    Request,
    Result,
    RowSetBack,
    RowSettled,
    Setback,
    Snapshot,
    Stage,
    VerdictKind,
)
from bulkpatch.ports import Ceiling, Clock, Executor, Ledger, Observer, Redactor, SecretResolver, Source, Transport
from bulkpatch.prequel.encoding import with_secrets

PROGRESS_S = 1.0
"""Seconds between two snapshots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """What the engine works with. ``draw`` gives numbers from [0, 1).

    ``make_room`` lets a ledger that met a full disk be used again.
    """

    clock: Clock
    executor: Executor
    ledger: Ledger
    source: Source
    transport: Transport
    ceiling: Ceiling
    secrets: SecretResolver
    redactor: Redactor
    observer: Observer
    draw: Callable[[], float]
    make_room: Callable[[], None] = lambda: None
    guards: Guards = field(default_factory=Guards)
    window: SendWindow | None = None


class Engine:
    """One process's part in a run, from the first claim to the last durable outcome."""

    def __init__(self, adapters: Adapters, dispatcher: Dispatcher, *, total: int, waves: Waves | None = None) -> None:
        self.dispatcher = dispatcher
        self.writer = LedgerWriter(
            adapters.ledger, adapters.executor, on_failure=self._fail, has_time=self._is_held_by_the_rate
        )
        self._with = adapters
        self._view = View(dispatcher, (waves or Waves()).states, adapters.clock, total=total, window=adapters.window)
        self._gate = Gate(dispatcher, adapters.ceiling, adapters.clock, window=adapters.window)
        feeder = Feeder(adapters.source, adapters.ledger, adapters.executor)
        self._waving = Waving(waves or Waves(), dispatcher, feeder, self.writer, adapters.clock, wake=self.wake)
        self._idle: deque[asyncio.Event] = deque()
        self._slots: list[asyncio.Task[None]] = []
        self._failure: BaseException | None = None
        self._tells_all = bool(getattr(adapters.observer, "every_request", True))

    async def run(self) -> Stop | None:
        """Send until every row has its outcome or the run stops; None at the end, else why it stopped.

        Raises what ended it: ``LedgerFailed``, ``Mismatch`` or a bug.
        """
        others = [asyncio.create_task(part) for part in (self._gate.run(), self._feed(), self._report())]
        self._slots = [asyncio.create_task(self._slot()) for _ in range(self.dispatcher.limits.concurrency)]
        try:
            await asyncio.gather(*self._slots, return_exceptions=True)
            if self._failure is None:
                await self.writer.durable()
            elif self._failure is self.writer.failure and _is_full(self._failure):
                await self._rescue()
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        self._tell()
        self._with.observer.notify(Progressed(snapshot=self.snapshot()))
        if self._failure is not None:
            raise self._failure
        return self.dispatcher.stopped

    def stop(self, stop: Stop) -> None:
        """Start nothing more; what is in flight is waited for."""
        self.dispatcher.stop(stop)
        self.wake()

    def quit(self) -> None:
        """Wait for nothing more: what is in flight is dropped. The ledger has every intent."""
        for task in self._slots:
            task.cancel()

    def snapshot(self) -> Snapshot:
        """Where the run stands now."""
        return self._view.now()

    def wake(self) -> None:
        """Look everywhere again: something was decided from outside a slot."""
        for woken in self._idle:
            woken.set()
        self._idle.clear()
        self._waving.moved()
        self._gate.changed()

    def _is_held_by_the_rate(self) -> bool:
        """Whether enough requests stand in line to be let through while a commit gathers and is made."""
        return self._gate.waiting > 2 * GATHER_S * self.dispatcher.pacer.speed

    async def _feed(self) -> None:
        try:
            await self._take_over()
            await self._waving.run()
        except Exception as failure:  # noqa: BLE001  (ends the run: run() raises it)
            self._fail(failure)

    async def _take_over(self) -> None:
        """Put on record which answers went with an earlier process: before rows come in, and so before any intent.

        Else there would be in doubt at one moment what that process sent, and what this one does.
        """
        adapters = self._with
        unanswered = await adapters.executor.run(adapters.ledger.unanswered)
        at_us = adapters.clock.wall_us()
        await self.writer.durable(*(lost(one.row, one.attempt, one.stage, at_us) for one in unanswered))

    # ── one slot ─────────────────────────────────────────────────────────────────────────────

    async def _slot(self) -> None:
        try:
            while (work := await self._next_work()) is not None:
                await self._serve(work)
        except Exception as failure:  # noqa: BLE001  (ends the run: run() raises it)
            self._fail(failure)

    async def _next_work(self) -> Work | None:
        while self._failure is None:
            now_s = self._with.clock.monotonic()
            work = self.dispatcher.pick(now_s)
            if self.dispatcher.wants:  # also where none was found: all that was here may have been laid aside
                self._waving.moved()
            if work is not None:
                self._wake_one()
                return work
            if self.dispatcher.finished:
                break
            if self.dispatcher.drained:
                self._waving.moved()
            await self._rest(self.dispatcher.wakes_at(now_s) - now_s)
        self.wake()
        return None

    async def _rest(self, at_most_s: float) -> None:
        woken = asyncio.Event()
        self._idle.append(woken)
        await moved_or_due(woken, at_most_s)
        if woken in self._idle:  # its time came
            self._idle.remove(woken)

    def _wake_one(self) -> None:
        """Let an idle slot look for work, if there may be some."""
        if self._idle and self.dispatcher.has_room:
            self._idle.popleft().set()

    async def _serve(self, work: Work) -> None:
        clock, op = self._with.clock, work.op
        try:
            secrets = await self._resolved(work) if op.secrets else ()
            request = self._build(work, secrets)
        except BulkpatchError as failure:
            self._store_failed(work, failure)
            return
        except ValueError as failure:
            record = self.dispatcher.unbuildable(
                work, code="BP417", message=self._with.redactor.scrub(str(failure)), at_us=clock.wall_us()
            )
            self._record(work, record)
            return
        intent = work.intent(clock.wall_us(), clock.monotonic())
        records = [intent, *carried(intent, secrets)] if secrets else [intent]
        if not await self.writer.durable(*records, then=self._gate.enter):
            self._put_back(work, intended=True)
            return
        self._wake_one()
        if self._tells_all:
            sent = AttemptSent(row=op.row, destination_id=op.destination_id, attempt=work.attempt, stage=work.stage)
            self._with.observer.notify(sent)
        await self._send(work, request)

    async def _resolved(self, work: Work) -> Carried:
        if work.stage not in {Stage.PRETEST, Stage.PATCH}:
            return ()
        return [(slot.path, await self._with.secrets.resolve(slot.source)) for slot in work.op.secrets]

    def _build(self, work: Work, secrets: Carried) -> Request:
        body = work.op.body
        if secrets:
            body = with_secrets(body, [(path, secret.reveal()) for path, secret in secrets])
        return request_of(work.stage, work.op.destination_id, body)

    def _store_failed(self, work: Work, failure: BulkpatchError) -> None:
        self._put_back(work, intended=False)
        exit_code = ExitCode.STOPPED if self.dispatcher.tally.sends else ExitCode.INVALID
        self.stop(Stop(why=Why.HALT, code=failure.code, reason=failure.message, exit_code=exit_code))

    def _put_back(self, work: Work, *, intended: bool) -> None:
        for record in self.dispatcher.withdraw(work, at_us=self._with.clock.wall_us(), intended=intended):
            self.writer.put(record)
        self.wake()

    # ── one attempt ──────────────────────────────────────────────────────────────────────────

    async def _send(self, work: Work, request: Request) -> None:
        left_at_s: list[float] = []

        def on_sent(at_s: float) -> None:
            left_at_s.append(at_s)
            self.dispatcher.sent(at_s)
            self._gate.left()

        began_s = self._with.clock.monotonic()
        try:
            timeout_s = self.dispatcher.limits.timeout_s
            result = await self._with.transport.send(request, timeout_s=timeout_s, on_sent=on_sent)
        finally:
            if not left_at_s:
                on_sent(self._with.clock.monotonic())
        self._settle(work, result, began_s)

    def _settle(self, work: Work, result: Result, began_s: float) -> None:
        redactor, wall_us = self._with.redactor, self._with.clock.wall_us()
        accepted = self.dispatcher.tally.accepted
        verdict, facts = judge(work, result, self._with.guards, wall_us=wall_us, accepted=accepted)
        if verdict.message:
            verdict = replace(verdict, message=redactor.scrub(verdict.message))
        ending = Ending(
            verdict=verdict,
            now_s=self._with.clock.monotonic(),
            at_us=wall_us,
            latency_us=round((result.ended_at_s - began_s) * 1e6),
            chance=self._with.draw() if verdict.kind is VerdictKind.RETRY else 0.0,
            facts=redactor.scrub_json(facts) if facts is not None else None,
        )
        self._record(work, self.dispatcher.ended(work, ending))

    def _record(self, work: Work, record: Record) -> None:
        self.writer.put(record, partial(self._landed, work, record))
        if self.dispatcher.stopped is not None or self.dispatcher.drained:
            self.wake()
        else:
            self._wake_one()

    def _landed(self, work: Work, record: Record) -> None:
        observer, destination_id = self._with.observer, work.op.destination_id
        if isinstance(record, Outcome):
            self.dispatcher.settled(record, work.copies)
            if self._tells_all or record.state in FAILED:
                observer.notify(RowSettled(destination_id=destination_id, outcome=record))
            if self.dispatcher.stopped is not None:
                self.wake()
        elif isinstance(record, Setback):
            observer.notify(RowSetBack(destination_id=destination_id, setback=record))
        if self.dispatcher.notices:
            self._tell()

    # ── told while it happens ────────────────────────────────────────────────────────────────

    async def _report(self) -> None:
        while True:
            self._tell()
            self._with.observer.notify(Progressed(snapshot=self.snapshot()))
            await asyncio.sleep(PROGRESS_S)

    def _tell(self) -> None:
        for notice in self.dispatcher.take_notices():
            self._with.observer.notify(notice)

    def _fail(self, failure: BaseException) -> None:
        if self._failure is None:
            self._failure = failure
        code, words, exit_code = "BP901", CODES["BP901"].title, ExitCode.INTERNAL
        if isinstance(failure, BulkpatchError):
            code, words, exit_code = failure.code, f"{failure.message}. {failure.hint}".strip(), failure.exit_code
        self.stop(Stop(why=Why.BROKEN, code=code, reason=words, exit_code=exit_code))

    async def _rescue(self) -> None:
        """The disk is full and nothing is sent any more: write the answers that came since then."""
        try:
            await self.writer.rescue(self._with.make_room)
        except BulkpatchError:
            return  # run() raises what was met first
        self._failure = None


def _is_full(failure: BaseException) -> bool:
    return isinstance(failure, LedgerFailed) and failure.code == "BP606"
