"""One process of a story: the real engine on adapters that die with it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from simulation_adapters import Disk, Gazer, Listed, Open, Plain, Seen, Store, Thread
from simulation_api import Api, Wire
from simulation_judge import Judge
from simulation_loop import VirtualLoop
from simulation_story import WALL_0_US, Crash, Script, Story

from bulkpatch.api.pacing import Pace, fresh_pace, resumed_pace
from bulkpatch.api.steering import Steering
from bulkpatch.api.waves import waves_of
from bulkpatch.core.dispatcher import Dispatcher
from bulkpatch.core.lifecycle import OPEN
from bulkpatch.core.tally import Tally
from bulkpatch.core.work import Stop
from bulkpatch.engine.asking import ControlRequest
from bulkpatch.engine.engine import Adapters, Engine
from bulkpatch.engine.reading import Reader, Turns
from bulkpatch.engine.signals import two_step
from bulkpatch.engine.survey import survey
from bulkpatch.errors import BulkpatchError
from bulkpatch.job.spec import ApiSpec, HooksSpec, InputSpec, Job, ReportSpec, SecretsSpec, VerifySpec, Wave
from bulkpatch.model import Act, Event, Sight
from bulkpatch.prequel.live import unpack

PLANNED: Final = "planned"
APPROVAL_S: Final = 7.0
"""Seconds between two looks of the person who approves waves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a process ended: ``code`` None and not ``crashed``: because nothing was left to do."""

    crashed: bool = False
    code: str | None = None
    reason: str = ""

    @property
    def finished(self) -> bool:
        """Every row has its outcome."""
        return not self.crashed and self.code is None


@dataclass(kw_only=True)
class World:
    """What outlives a process: time, the API, the judge. ``shift_us`` is how far the wall clock was moved."""

    story: Story
    loop: VirtualLoop
    judge: Judge
    source: Listed
    shift_us: int = 0
    boot_s: float = 0.0
    api: Api = field(init=False)

    def __post_init__(self) -> None:
        self.api = Api(self.story, self.judge, self.loop, self)

    def wall_us(self) -> int:
        """Wall time now."""
        return WALL_0_US + round((self.loop.time() - 1000.0) * 1e6) + self.shift_us

    def monotonic(self) -> float:
        """Seconds since this boot."""
        return self.loop.time() - self.boot_s


class Process:
    """From its start to its end or its death; ports.Clock and ports.Observer of its engine as well.

    What is dead may go on thinking, and nothing of it reaches the ledger, the wire or a person.
    """

    def __init__(self, world: World, script: Script, ledger: Disk, *, number: int) -> None:
        self.world = world
        self.judge = world.judge
        self.loop = world.loop
        self.script = script
        self.ledger = ledger
        self.number = number
        self.dead = False
        self.commits = 0
        self.monotonic = world.monotonic
        self.wall_us = world.wall_us
        self._requests = 0
        self._died: asyncio.Future[None] = world.loop.create_future()
        self._steering: Steering | None = None
        self._engine: Engine | None = None
        self._streams = f"{world.story.seed}:{number}"
        self.wire = Wire(world.api, world.judge, self, self.alive, self._left)
        ledger.process = self

    # ── life and death ───────────────────────────────────────────────────────────────────────

    async def live(self) -> End:
        """To the end."""
        me = asyncio.current_task()
        self.judge.begins(self.loop.time())
        handles = [self.loop.call_later(at_s, act) for at_s, act in self._scripted()]
        working = asyncio.ensure_future(self._work())
        ends: list[asyncio.Future[Any]] = [working, self._died]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        self.dead = True
        for handle in handles:
            handle.cancel()
        others = [task for task in asyncio.all_tasks() if task not in {me, working}]
        for task in (*others, working):
            task.cancel()
        await asyncio.gather(*others, working, return_exceptions=True)
        self.loop.forget_signals()
        if self._died.done() or working.cancelled():
            self.judge.trace.note(self.loop.time(), "died")
            return End(crashed=True)
        end = working.result()
        self.judge.ended(self.loop.time(), code=end.code, reason=end.reason)
        self.judge.trace.note(self.loop.time(), "ended", end)
        return end

    def die(self) -> None:
        """At once, wherever it is."""
        self.dead = True
        if not self._died.done():
            self._died.set_result(None)

    def fails(self, moment: str, at: float) -> bool:
        """Whether ``at`` is the moment that the script names."""
        return self.script.crash == Crash(moment=cast("Any", moment), at=at)

    def dies(self, moment: str, at: float) -> bool:
        """Die if it is the moment."""
        if self.fails(moment, at):
            self.die()
        return self.dead

    async def alive(self) -> None:
        """Return if it lives; never if it is dead."""
        if self.dead:
            await self.loop.create_future()

    def _left(self) -> None:
        self._requests += 1
        self.dies("departure", self._requests)

    def notify(self, event: Event) -> None:
        """See ports.Observer."""
        if not self.dead:
            self.judge.told(self.loop.time(), event)

    def _scripted(self) -> Iterator[tuple[float, Callable[[], None]]]:
        script = self.script
        if script.crash is not None and script.crash.moment == "time":
            yield script.crash.at, self.die
        for at_s, number in script.signals:
            yield at_s, partial(self._signal, number)
        for at_s, act, argument in script.acts:
            yield at_s, partial(self._ask, act, argument)
        for at_s, by_s in script.jumps:
            yield at_s, partial(self._jump, by_s)

    # ── from outside ─────────────────────────────────────────────────────────────────────────

    def _signal(self, number: int) -> None:
        if self.loop.deliver(number):
            self.judge.trace.note(self.loop.time(), "signal", number)
            self.judge.stop_s = min(self.judge.stop_s, self.loop.time())

    def _jump(self, by_s: float) -> None:
        self.judge.trace.note(self.loop.time(), "the wall clock jumps by", by_s)
        self.world.shift_us += round(by_s * 1e6)

    def _ask(self, act: str, argument: str = "") -> None:
        if self._steering is not None:
            asyncio.ensure_future(self._asked(self._steering, act, argument))  # noqa: RUF006  (ended by ``live``)

    async def _asked(self, steering: Steering, act: str, argument: str) -> None:
        request = ControlRequest(act=cast("Any", act), run_id="r", actor="someone", argument=argument)
        assert self._engine is not None
        with suppress(BulkpatchError):
            dispatcher = self._engine.dispatcher
            reply = await steering.handle(request)
            if self.dead:
                return
            self.judge.trace.note(self.loop.time(), act, argument, reply.message)
            if act == "pause" and reply.ok:
                self.judge.may_leave = dispatcher.in_slots - self.judge.in_flight
            if act == "continue":
                self.judge.may_leave = float("inf")
            if act == "throttle" and reply.ok:
                self.judge.throttled(self.loop.time(), dispatcher.limits.rate)

    async def _attend(self, engine: Engine, steering: Steering) -> None:
        """Somebody approves what waits for it, and lets a paused run go on in the end."""
        last_s = self.loop.time() + max((at_s for at_s, _, _ in self.script.acts), default=0.0)
        while True:
            await asyncio.sleep(APPROVAL_S)
            if engine.dispatcher.wave.awaits:
                await self._asked(steering, "approve", "")
            if engine.dispatcher.paused and self.loop.time() > last_s:
                await self._asked(steering, "continue", "")

    # ── the part that the program does in its own process ────────────────────────────────────

    def reader(self, pace: Pace) -> Reader:
        """Reads at the run's pace."""
        return Reader(
            transport=self.wire,
            ceiling=Open(),
            clock=self,
            draw=self._stream("reads").random,
            limits=self.world.story.limits,
            turns=Turns(pace.pacer, pace.speed),
        )

    def _stream(self, name: str) -> random.Random:
        return random.Random(f"{self._streams}:{name}")  # noqa: S311  (a seed is the point)

    async def _work(self) -> End:
        story = self.world.story
        rate = story.limits.rate
        pace = fresh_pace(rate, self) if self.number == 1 else resumed_pace(rate, self, self.ledger)
        try:
            await self._look(pace)
            stop = await self._send(pace)
        except BulkpatchError as failure:
            return End(code=failure.code, reason=failure.message)
        if stop is None or not any(self.ledger.counts().get(state, 0) for state in OPEN):
            return End()
        return End(code=stop.code, reason=stop.reason)

    async def _look(self, pace: Pace) -> None:
        """What ``api.session.make_ready`` does: read the fleet once, and put on record what was seen."""
        if any(act.kind == PLANNED for act in self.ledger.acts()):
            return
        rows, sightings = self.world.source.rows, Seen([row.destination_id for row in self.world.source.rows])
        if self.world.story.looks:
            async with self.reader(pace) as reader:
                await survey(reader, sightings, ("name",), concurrency=self.world.story.limits.concurrency)
        seen = {
            name: unpack(document) for name, document in sightings.get([row.destination_id for row in rows]).items()
        }
        recipients = {row.number: row.recipient for row in self.world.story.rows}
        sights = [
            Sight(
                row=row.row,
                at_us=self.wall_us(),
                found=True,
                vendor=seen[row.destination_id].vendor,
                recipient_id=recipients[row.row],
                updated_at=seen[row.destination_id].updated_at,
                digest=seen[row.destination_id].digest,
            )
            for row in rows
            if row.destination_id in seen
        ]
        self.ledger.commit([*sights, self._act(PLANNED)])
        await self.alive()

    async def _send(self, pace: Pace) -> Stop | None:
        story, ledger = self.world.story, self.ledger
        counts = ledger.counts()
        dispatcher = Dispatcher(
            limits=story.limits,
            guard=story.guard,
            pacer=pace.pacer,
            speed=pace.speed,
            tally=Tally({state: number for state, number in counts.items() if state not in OPEN}),
            now_s=self.monotonic(),
            staging=story.staging,
            per_recipient=story.per_recipient,
        )
        executor = Thread(self, self._stream("disk"))
        adapters = Adapters(
            clock=self,
            executor=executor,
            ledger=ledger,
            source=self.world.source,
            transport=self.wire,
            ceiling=Open(),
            secrets=Store(self, self._stream("store")),
            redactor=Plain(),
            observer=self,
            draw=self._stream("engine").random,
            guards=story.guards,
            window=story.window,
        )
        waves = waves_of(ledger, _job(story), cast("Any", None), executor, who="someone")
        waves = replace(waves, watch=Gazer(self, pace, self._stream("transfers")))
        engine = Engine(adapters, dispatcher, total=ledger.header().rows, waves=waves)
        ledger.commit([self._act("started" if self.number == 1 else "resumed")])
        await self.alive()
        self._engine, self._steering = engine, Steering(engine, Open(), self)
        asyncio.ensure_future(self._attend(engine, self._steering))  # noqa: RUF006  (ended by ``live``)
        with two_step(engine):
            return await engine.run()

    def _act(self, kind: str) -> Act:
        return Act(at_us=self.wall_us(), kind=kind, actor="someone", detail=json.dumps({}))


def _job(story: Story) -> Job:
    """As much of a job as the waves need."""
    return Job(
        name="simulated",
        api=ApiSpec(),
        input=InputSpec(path=""),
        patch=(),
        expect={},
        limits=story.limits,
        guard=story.guard,
        transport="httpx",
        on_drift="send",
        window=None,
        waves=tuple(Wave(size=size, gate=gate) for size, gate in story.waves),
        verify=VerifySpec(),
        per_recipient=story.per_recipient,
        secrets=SecretsSpec(),
        report=ReportSpec(),
        hooks=HooksSpec(),
        path=Path("simulated.toml"),
        sha256="",
        origins={},
    )
