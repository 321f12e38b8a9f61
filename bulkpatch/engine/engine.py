"""Carries out what the dispatcher decides: slots that send, one gate, one writer, one feeder."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from bulkpatch.core.dispatcher import Dispatcher
from bulkpatch.core.judge import judge_fault, judge_reply
from bulkpatch.core.work import Ending, Stop, Why, Work
from bulkpatch.engine.feeder import Feeder
from bulkpatch.engine.gate import Gate
from bulkpatch.engine.writer import LedgerWriter
from bulkpatch.errors import BulkpatchError, ExitCode
from bulkpatch.model import (
    Answer,
    AttemptSent,
    Outcome,
    Progressed,
    Record,
    Reply,
    Request,
    Result,
    RowSetBack,
    RowSettled,
    Setback,
    Snapshot,
    Verdict,
    VerdictKind,
)
from bulkpatch.ports import Ceiling, Clock, Executor, Ledger, Observer, Redactor, SecretResolver, Source, Transport
from bulkpatch.prequel.encoding import with_secrets
from bulkpatch.prequel.replies import read_destination, read_error_message
from bulkpatch.prequel.requests import patch

PROGRESS_S = 1.0
"""Seconds between two snapshots."""
_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """What the engine works with. ``draw`` gives numbers from [0, 1)."""

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


class Engine:
    """One process's part in a run, from the first claim to the last durable outcome."""

    def __init__(self, adapters: Adapters, dispatcher: Dispatcher, *, total: int) -> None:
        self._with = adapters
        self._dispatcher = dispatcher
        self._total = total
        self._started_s = adapters.clock.monotonic()
        self._gate = Gate(dispatcher, adapters.ceiling, adapters.clock)
        self._writer = LedgerWriter(adapters.ledger, adapters.executor, on_failure=self._fail)
        self._feeder = Feeder(adapters.source, adapters.ledger, adapters.executor)
        self._hungry = asyncio.Event()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._slots: list[asyncio.Task[None]] = []
        self._failure: BaseException | None = None

    async def run(self) -> Stop | None:
        """Send until every row has its outcome or the run stops; None at the end, else why it stopped.

        Raises what ended it: ``LedgerFailed``, ``Mismatch`` or a bug.
        """
        others = [asyncio.create_task(part) for part in (self._gate.run(), self._feed(), self._report())]
        self._slots = [asyncio.create_task(self._slot()) for _ in range(self._dispatcher.limits.concurrency)]
        try:
            await asyncio.gather(*self._slots, return_exceptions=True)
            if self._failure is None:
                await self._writer.durable()
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        self._tell()
        self._with.observer.notify(Progressed(snapshot=self.snapshot()))
        if self._failure is not None:
            raise self._failure
        return self._dispatcher.stopped

    def stop(self, stop: Stop) -> None:
        """Start nothing more; what is in flight is waited for."""
        self._dispatcher.stop(stop)
        self._wake_all()

    def quit(self) -> None:
        """Wait for nothing more: what is in flight is dropped. The ledger has every intent."""
        for task in self._slots:
            task.cancel()

    def snapshot(self) -> Snapshot:
        """Where the run stands now."""
        dispatcher, tally, now_s = self._dispatcher, self._dispatcher.tally, self._with.clock.monotonic()
        elapsed_s = now_s - self._started_s
        settled = sum(tally.states.values())
        done_here = tally.tried
        left_s = (self._total - settled) * elapsed_s / done_here if done_here else None
        return Snapshot(
            total=self._total,
            states=dict(tally.states),
            in_flight=dispatcher.in_flight,
            sends=tally.sends,
            retries=tally.retries,
            throttled=tally.throttled,
            rate_limit=dispatcher.speed.at(now_s),
            rate_now=tally.rate(now_s),
            p50_ms=tally.latency_ms(0.5),
            p95_ms=tally.latency_ms(0.95),
            elapsed_s=elapsed_s,
            left_s=left_s,
            bound_by=dispatcher.bound_by,
            stopping=dispatcher.stopped.reason if dispatcher.stopped else "",
        )

    # ── rows come in ─────────────────────────────────────────────────────────────────────────

    async def _feed(self) -> None:
        try:
            while self._dispatcher.stopped is None:
                if not self._dispatcher.wants:
                    self._hungry.clear()
                    await self._hungry.wait()
                    continue
                rows = await self._feeder.next_rows()
                if rows is None:
                    break
                for record in self._dispatcher.offer(rows, at_us=self._with.clock.wall_us()):
                    self._writer.put(record)
                self._wake_all()
        except Exception as failure:  # noqa: BLE001  (ends the run: run() raises it)
            self._fail(failure)
        self._dispatcher.source_ended()
        self._wake_all()

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
            work = self._dispatcher.pick(now_s)
            if self._dispatcher.wants:
                self._hungry.set()
            if work is not None:
                self._wake_one()
                return work
            if self._dispatcher.finished:
                break
            await self._rest(self._dispatcher.wakes_at(now_s) - now_s)
        self._wake_all()
        return None

    async def _rest(self, at_most_s: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(woken)
        try:
            async with asyncio.timeout(None if math.isinf(at_most_s) else max(0.0, at_most_s)):
                await woken
        except TimeoutError:
            self._idle = deque(waiter for waiter in self._idle if waiter is not woken)

    def _wake_one(self) -> None:
        while self._idle:
            woken = self._idle.popleft()
            if not woken.done():
                woken.set_result(None)
                return

    def _wake_all(self) -> None:
        for woken in self._idle:
            if not woken.done():
                woken.set_result(None)
        self._idle.clear()
        self._hungry.set()
        self._gate.changed()

    async def _serve(self, work: Work) -> None:
        clock, op = self._with.clock, work.op
        try:
            request = await self._build(work)
        except BulkpatchError as failure:
            self._store_failed(work, failure)
            return
        except ValueError as failure:
            record = self._dispatcher.unbuildable(
                work, code="BP417", message=self._with.redactor.scrub(str(failure)), at_us=clock.wall_us()
            )
            self._record(work, record)
            return
        await self._writer.durable(self._dispatcher.intend(work, at_us=clock.wall_us(), now_s=clock.monotonic()))
        if not await self._gate.pass_through():
            self._put_back(work, intended=True)
            return
        self._wake_one()
        sent = AttemptSent(row=op.row, destination_id=op.destination_id, attempt=work.attempt, stage=work.stage)
        self._with.observer.notify(sent)
        await self._send(work, request)

    async def _build(self, work: Work) -> Request:
        op = work.op
        if not op.secrets:
            return patch(op.destination_id, op.body)
        values = [(slot.path, (await self._with.secrets.resolve(slot.source)).reveal()) for slot in op.secrets]
        return patch(op.destination_id, with_secrets(op.body, values))

    def _store_failed(self, work: Work, failure: BulkpatchError) -> None:
        self._put_back(work, intended=False)
        exit_code = ExitCode.STOPPED if self._dispatcher.tally.sends else ExitCode.INVALID
        self.stop(Stop(why=Why.HALT, code=failure.code, reason=failure.message, exit_code=exit_code))

    def _put_back(self, work: Work, *, intended: bool) -> None:
        for record in self._dispatcher.withdraw(work, at_us=self._with.clock.wall_us(), intended=intended):
            self._writer.put(record)
        self._wake_all()

    # ── one attempt ──────────────────────────────────────────────────────────────────────────

    async def _send(self, work: Work, request: Request) -> None:
        left_at_s: list[float] = []

        def on_sent(at_s: float) -> None:
            left_at_s.append(at_s)
            self._dispatcher.sent(at_s)
            self._gate.changed()

        began_s = self._with.clock.monotonic()
        try:
            timeout_s = self._dispatcher.limits.timeout_s
            result = await self._with.transport.send(request, timeout_s=timeout_s, on_sent=on_sent)
        finally:
            if not left_at_s:
                on_sent(self._with.clock.monotonic())
        self._settle(work, result, began_s)

    def _settle(self, work: Work, result: Result, began_s: float) -> None:
        verdict, answer = self._judge(work, result)
        if verdict.message:
            verdict = replace(verdict, message=self._with.redactor.scrub(verdict.message))
        facts = answer.facts if answer is not None and verdict.kind is VerdictKind.ACCEPTED else None
        ending = Ending(
            verdict=verdict,
            now_s=self._with.clock.monotonic(),
            at_us=self._with.clock.wall_us(),
            latency_us=round((result.ended_at_s - began_s) * 1e6),
            chance=self._with.draw(),
            facts=self._with.redactor.scrub_json(facts) if facts is not None else None,
        )
        self._record(work, self._dispatcher.ended(work, ending))

    def _judge(self, work: Work, result: Result) -> tuple[Verdict, Answer | None]:
        if not isinstance(result, Reply):
            return judge_fault(result), None
        if result.status in _SUCCESS:
            answer = read_destination(result, work.op.destination_id)
        else:
            answer = Answer(success=False, message=read_error_message(result))
        accepted = self._dispatcher.tally.accepted
        return judge_reply(result, answer, wall_us=self._with.clock.wall_us(), accepted=accepted), answer

    def _record(self, work: Work, record: Record) -> None:
        self._writer.put(record, partial(self._landed, work, record))
        if self._dispatcher.stopped is not None:
            self._wake_all()
        else:
            self._wake_one()

    def _landed(self, work: Work, record: Record) -> None:
        observer, destination_id = self._with.observer, work.op.destination_id
        if isinstance(record, Outcome):
            self._dispatcher.settled(record, work.copies)
            observer.notify(RowSettled(destination_id=destination_id, outcome=record))
            if self._dispatcher.stopped is not None:
                self._wake_all()
        elif isinstance(record, Setback):
            observer.notify(RowSetBack(destination_id=destination_id, setback=record))
        self._tell()

    # ── told while it happens ────────────────────────────────────────────────────────────────

    async def _report(self) -> None:
        while True:
            self._tell()
            self._with.observer.notify(Progressed(snapshot=self.snapshot()))
            await asyncio.sleep(PROGRESS_S)

    def _tell(self) -> None:
        for notice in self._dispatcher.take_notices():
            self._with.observer.notify(notice)

    def _fail(self, failure: BaseException) -> None:
        if self._failure is None:
            self._failure = failure
        code = failure.code if isinstance(failure, BulkpatchError) else "BP901"
        self.stop(Stop(why=Why.BROKEN, code=code, reason=str(code), exit_code=ExitCode.INTERNAL))
