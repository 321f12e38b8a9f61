"""What the tests of the engine share: a loop whose clock jumps, an API by script, and a run on both."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import selectors
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar

from bulkpatch.core.dispatcher import Dispatcher
from bulkpatch.core.pacer import Pacer
from bulkpatch.core.quantities import parse_rate, parse_threshold
from bulkpatch.core.tally import Tally
from bulkpatch.core.window import SendWindow
from bulkpatch.core.work import Stop
from bulkpatch.engine.engine import Adapters, Engine
from bulkpatch.engine.stages import Guards
from bulkpatch.engine.waving import Waves
from bulkpatch.ledger.memory import MemoryLedger
from bulkpatch.model import (
    Event,
    Fault,
    FaultKind,
    Guard,
    Limits,
    Notice,
    Operation,
    PerRecipient,
    Rate,
    Reply,
    Request,
    Result,
    RunHeader,
    Secret,
    SeedRow,
    Sight,
    Staging,
    credential_of,
)
from bulkpatch.ports import Clock, Executor, Redactor, SecretResolver
from bulkpatch.prequel.encoding import encode_body

P = ParamSpec("P")
T = TypeVar("T")
WALL_0_US = 1_780_000_000_000_000
"""Wall time at which every loop begins."""
ROUND_TRIP_S = 0.05
LIMITS = Limits(rate=parse_rate("100/s"), concurrency=4, timeout_s=30.0, attempts=3)
HEADER = RunHeader(
    run_id="r",
    job_name="j",
    job_path="j",
    job_sha256="",
    inputs=(),
    input_sha256="",
    base_url="",
    tool_version="",
    created_at_us=0,
)


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop on a clock that jumps to the next timer. Where nothing is due, it says so instead of hanging."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Virtual seconds."""
        return self.now_s


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop: JumpingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing is under way, and nothing will wake it"
            self._loop.now_s += max(0.0, timeout)
        return ready


def virtually(act: Callable[[], Awaitable[T]]) -> T:
    """Do ``act`` in a loop whose clock jumps."""

    async def whole() -> T:
        return await act()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(whole())


class LoopClock:
    """ports.Clock: the running loop's."""

    def monotonic(self) -> float:
        """Seconds of the loop."""
        return asyncio.get_running_loop().time()

    def wall_us(self) -> int:
        """The same, since ``WALL_0_US``."""
        return WALL_0_US + round((self.monotonic() - 1000.0) * 1e6)


class Inline:
    """ports.Executor: at once."""

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` here."""
        return function(*args, **kwargs)


class Slow:
    """ports.Executor: every call takes a while, one after the other."""

    def __init__(self, takes_s: float = 0.5) -> None:
        self.takes_s = takes_s
        self._turn = asyncio.Lock()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` after a while."""
        async with self._turn:
            await asyncio.sleep(self.takes_s)
            return function(*args, **kwargs)


class OpenCeiling:
    """ports.Ceiling: lets everything through, after ``wait_s``."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.wait_s = wait_s
        self.admitted = 0

    async def admit(self) -> bool:
        """One more may leave."""
        if self.wait_s:
            await asyncio.sleep(self.wait_s)
        self.admitted += 1
        return bool(self.wait_s)

    def set_rate(self, rate: Rate) -> None:
        """Nothing is held."""


class Heard:
    """ports.Observer: keeps all it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def notify(self, event: Event) -> None:
        """Keep ``event``."""
        self.events.append(event)

    @property
    def notices(self) -> list[Notice]:
        """Those a person should know."""
        return [event for event in self.events if isinstance(event, Notice)]


class PlainRedactor:
    """ports.Redactor: there is no secret here."""

    def scrub(self, text: str, *, limit: int = 300) -> str:
        """As it is."""
        return text[:limit]

    def scrub_json(self, document: bytes) -> bytes | None:
        """As it is."""
        return document


class NoSecrets:
    """ports.SecretResolver: no row here has one."""

    async def resolve(self, source: str | Secret) -> Secret:
        """Never called."""
        raise AssertionError(source)


Told = tuple[int, Any] | FaultKind
"""A status and what the body says, or why there is no answer."""
Script = Callable[[Request], Told]


class ScriptedApi:
    """ports.Transport: ``script`` says what each request meets, a round trip later. ``asked`` is when which left."""

    def __init__(self, script: Script, *, headers: Mapping[str, str] | None = None) -> None:
        self.script = script
        self.headers = dict(headers or {})
        self.asked: list[tuple[float, Request]] = []
        self.under_way = 0
        self.most_under_way = 0

    async def send(self, request: Request, *, timeout_s: float, on_sent: Callable[[float], None]) -> Result:
        """Answer as the script says."""
        loop = asyncio.get_running_loop()
        sent_at_s = loop.time()
        told = self.script(request)
        self.asked.append((sent_at_s, request))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            on_sent(sent_at_s)
            await asyncio.sleep(min(ROUND_TRIP_S, timeout_s))
        finally:
            self.under_way -= 1
        if isinstance(told, FaultKind):
            sent = told in {FaultKind.RESET, FaultKind.TIMEOUT, FaultKind.TRUNCATED, FaultKind.TOO_LARGE}
            return Fault(kind=told, sent=sent, detail="", sent_at_s=sent_at_s, ended_at_s=loop.time())
        return reply(*told, headers=self.headers if told[0] >= 400 else {}, sent_at_s=sent_at_s, now_s=loop.time())

    async def aclose(self) -> None:
        """Nothing is open."""

    @property
    def paths(self) -> list[str]:
        """Method and path of each request, in order."""
        return [f"{request.method} {request.path}" for _, request in self.asked]


def reply(
    status: int,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    sent_at_s: float = 0.0,
    now_s: float = 0.0,
) -> Reply:
    """A whole answer; ``body`` is bytes, or what its JSON says."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status=status, headers=headers or {}, body=raw, sent_at_s=sent_at_s, ended_at_s=now_s)


def shown(destination_id: str, **settings: Any) -> dict[str, Any]:
    """The envelope of one destination."""
    return {"status": "success", "data": {"destination": {"id": destination_id, **settings}}, "message": ""}


def says_of_test(status: str) -> dict[str, Any]:
    """The envelope of a connection test."""
    return {"status": "success", "data": {"status": status}, "message": ""}


def id_in(request: Request) -> str:
    """The destination that ``request`` is about."""
    return request.path.split("/")[2].partition("?")[0]


def accepts(request: Request) -> Told:
    """An API where everything goes well."""
    if request.path.endswith("test-connection"):
        return 200, says_of_test("success")
    return 200, shown(id_in(request))


class Listed:
    """ports.Source: row ``n`` is about destination ``dn``; batches of ``batch``."""

    def __init__(self, count: int, *, batch: int = 10) -> None:
        body = encode_body({"name": "n"})
        digest = hashlib.sha256(body).digest()
        self.batch = batch
        self.passes = 0
        self.rows = [
            Operation(row=number, destination_id=f"d{number}", body=body, digest=digest, fields=("name",))
            for number in range(1, count + 1)
        ]

    def operations(self, wanted: Callable[[int, int], Sequence[int]]) -> Iterator[Sequence[Operation]]:
        """See ports.Source."""
        self.passes += 1
        for at in range(0, len(self.rows), self.batch):
            batch = self.rows[at : at + self.batch]
            chosen = set(wanted(batch[0].row, batch[-1].row))
            yield [row for row in batch if row.row in chosen]

    def seeds(self, *, waves: Sequence[int] = ()) -> Sequence[SeedRow]:
        """The rows as a ledger takes them; ``waves`` says of each its wave."""
        return [
            SeedRow(
                row=one.row,
                destination_id=one.destination_id,
                digest=one.digest,
                fields=one.fields,
                wave=waves[one.row - 1] if waves else 1,
                credential=credential_of(one),
            )
            for one in self.rows
        ]

    def ledger(self, *, waves: Sequence[int] = (), sights: Sequence[Mapping[str, Any]] = ()) -> MemoryLedger:
        """One that knows the rows; ``waves`` and ``sights`` say of each its wave and what was seen of it."""
        made = MemoryLedger(HEADER, [self.seeds(waves=waves)])
        seen = zip(self.rows, sights, strict=False)
        made.commit([Sight(row=one.row, at_us=0, found=True, **sight) for one, sight in seen])
        return made


@dataclass(kw_only=True)
class Run:
    """What a run is made of; ``to_its_end`` works on it and may be called again on what is left."""

    source: Listed
    ledger: MemoryLedger
    api: ScriptedApi
    waves: Waves | None = None
    limits: Limits = LIMITS
    staging: Staging | None = None
    per_recipient: PerRecipient | None = None
    secrets: SecretResolver = field(default_factory=NoSecrets)
    guards: Guards = field(default_factory=Guards)
    window: SendWindow | None = None
    max_failed: int | str = "100%"
    heard: Heard = field(default_factory=Heard)
    meanwhile: Callable[[Engine], Awaitable[None]] | None = None
    executor: Callable[[], Executor] = Inline
    make_room: Callable[[], None] = lambda: None
    clock: Callable[[], Clock] = LoopClock
    redactor: Redactor = field(default_factory=PlainRedactor)
    seed: int = 1
    most_s: float = 86_400.0

    async def work(self) -> Stop | None:
        """The run, in the loop that runs."""
        clock = self.clock()
        dispatcher = Dispatcher(
            limits=self.limits,
            guard=Guard(max_failed=parse_threshold(self.max_failed), min_tried=0),
            pacer=Pacer(self.limits.rate, now_s=clock.monotonic()),
            tally=Tally({}),
            now_s=clock.monotonic(),
            staging=self.staging,
            per_recipient=self.per_recipient,
        )
        adapters = Adapters(
            clock=clock,
            executor=self.executor(),
            ledger=self.ledger,
            source=self.source,
            transport=self.api,
            ceiling=OpenCeiling(),
            secrets=self.secrets,
            redactor=self.redactor,
            observer=self.heard,
            draw=random.Random(self.seed).random,  # noqa: S311  (a fixed seed)
            make_room=self.make_room,
            guards=self.guards,
            window=self.window,
        )
        engine = Engine(adapters, dispatcher, total=len(self.source.rows), waves=self.waves)
        async with asyncio.timeout(self.most_s):
            if self.meanwhile is None:
                return await engine.run()
            beside = asyncio.ensure_future(self.meanwhile(engine))
            stop = await engine.run()
            await beside
            return stop

    def to_its_end(self) -> Stop | None:
        """The run, in a loop of its own."""
        return virtually(self.work)

    def resumed(self, **changed: Any) -> Run:
        """The next process's part: the ledger as it finds it."""
        return replace(self, ledger=self.ledger.reopened(), **changed)


def most_in(times: Sequence[float], window_s: float) -> int:
    """The largest number of ``times`` within any window of ``window_s``."""
    return max((sum(at <= other < at + window_s for other in times) for at in times), default=0)
