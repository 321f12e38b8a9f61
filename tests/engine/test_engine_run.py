"""The engine sends every row once over a faulty API, holds its limits, and goes on after a stop."""

from __future__ import annotations

import asyncio
import hashlib
import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from bulkpatch.core.dispatcher import Dispatcher
from bulkpatch.core.pacer import Pacer
from bulkpatch.core.quantities import parse_rate, parse_threshold
from bulkpatch.core.tally import Tally
from bulkpatch.core.work import Stop, Why
from bulkpatch.engine.engine import Adapters, Engine
from bulkpatch.engine.system import SystemClock, ThreadExecutor
from bulkpatch.ledger.opening import create, open_ledger
from bulkpatch.ledger.sqlite import SqliteLedger
from bulkpatch.model import Fault, Guard, Limits, Operation, Reply, Request, RowState, RunHeader, Secret, SeedRow
from bulkpatch.observe.progress import SilentProgress
from bulkpatch.prequel.encoding import encode_body
from bulkpatch.secrets.redaction import LiveRedactor
from bulkpatch.simulator.faults import FaultPlan
from bulkpatch.simulator.server import SimulatorServer
from bulkpatch.simulator.state import Fleet
from bulkpatch.transport.ceiling import ThrottleCeiling
from bulkpatch.transport.httpx_transport import HttpxTransport

KEY = Secret("sk_staging_0123456789", reference="env:KEY")
CLOCK = SystemClock()


class ListedRows:
    """A source of rows that rename each destination."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.rows = []
        for number, destination_id in enumerate(ids, start=1):
            body = encode_body({"name": f"renamed {number}"})
            digest = hashlib.sha256(body).digest()
            self.rows.append(
                Operation(row=number, destination_id=destination_id, body=body, digest=digest, fields=("name",))
            )

    def operations(self, wanted: Callable[[int, int], Sequence[int]]) -> Iterator[Sequence[Operation]]:
        """Batches of fifty."""
        for at in range(0, len(self.rows), 50):
            batch = self.rows[at : at + 50]
            chosen = set(wanted(batch[0].row, batch[-1].row))
            yield [row for row in batch if row.row in chosen]

    def seeds(self) -> Iterator[Sequence[SeedRow]]:
        """As the ledger takes them."""
        yield [SeedRow(row=r.row, destination_id=r.destination_id, digest=r.digest, fields=r.fields) for r in self.rows]


def seeded(folder: Path, rows: ListedRows) -> SqliteLedger:
    """A ledger that knows ``rows``."""
    header = RunHeader(
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
    return create(folder, header, rows.seeds())


class NoSecrets:
    """No row here has one."""

    async def resolve(self, source: str | Secret) -> Secret:
        """Never called."""
        raise AssertionError(source)


class Watched(HttpxTransport):
    """Notes when each request left. When one arrives is the server's to say, and it may lag."""

    left_at_s: list[float]

    async def send(self, request: Request, *, timeout_s: float, on_sent: Callable[[float], None]) -> Reply | Fault:
        """As ever, with a note."""

        def noted(at_s: float) -> None:
            self.left_at_s.append(at_s)
            on_sent(at_s)

        return await super().send(request, timeout_s=timeout_s, on_sent=noted)


async def work_on(  # noqa: PLR0913  (what a run is made of)
    ledger: SqliteLedger,
    rows: ListedRows,
    url: str,
    *,
    rate: str,
    concurrency: int = 16,
    stop_after_s: float | None = None,
    left_at_s: list[float] | None = None,
) -> Stop | None:
    """Run the engine over ``rows`` to the end, or ask it to stop after a while. ``left_at_s`` takes when each left."""
    limits = Limits(rate=parse_rate(rate), concurrency=concurrency, timeout_s=2.0, attempts=6)
    now_s = CLOCK.monotonic()
    dispatcher = Dispatcher(
        limits=limits,
        guard=Guard(max_failed=parse_threshold("100%"), min_tried=0),
        pacer=Pacer(limits.rate, now_s=now_s),
        tally=Tally({}),
        now_s=now_s,
    )
    transport = Watched(base_url=url, key=KEY, concurrency=concurrency, clock=CLOCK, user_agent="test")
    transport.left_at_s = [] if left_at_s is None else left_at_s
    executor = ThreadExecutor()
    adapters = Adapters(
        clock=CLOCK,
        executor=executor,
        ledger=ledger,
        source=rows,
        transport=transport,
        ceiling=ThrottleCeiling(limits.rate),
        secrets=NoSecrets(),
        redactor=LiveRedactor(),
        observer=SilentProgress(),
        draw=random.Random(1).random,  # noqa: S311  (a fixed seed)
    )
    engine = Engine(adapters, dispatcher, total=len(rows.rows))
    if stop_after_s is not None:
        stop = Stop(why=Why.SIGNAL, code="BP503", reason="asked", exit_code=130)
        asyncio.get_running_loop().call_later(stop_after_s, engine.stop, stop)
    try:
        return await engine.run()
    finally:
        await transport.aclose()
        executor.close()


def most_in_a_second(times: Sequence[float]) -> int:
    """The largest number of ``times`` within any second."""
    times = sorted(times)
    return max(bisect_left(times, at + 1.0) - index for index, at in enumerate(times))


@pytest.mark.proves("G5")
def test_every_row_is_accepted_over_a_rough_api(tmp_path: Path) -> None:
    """300 rows at 200/s, a quarter of the attempts failing in seven ways: all accepted, the rate held as they left."""
    left_at_s: list[float] = []
    fleet = Fleet.synthetic(300, 7, clock=CLOCK)
    rows = ListedRows(fleet.ids)
    ledger = seeded(tmp_path, rows)
    with SimulatorServer(fleet, key=KEY, faults=FaultPlan.parse("rough", seed=3)) as server:
        stop = asyncio.run(work_on(ledger, rows, server.url, rate="200/s", left_at_s=left_at_s))
    assert stop is None
    assert ledger.counts() == {RowState.ACCEPTED: 300}
    held = fleet.snapshot()
    assert [held[row.destination_id]["destination"]["name"] for row in rows.rows] == [
        f"renamed {row.row}" for row in rows.rows
    ]
    assert len(left_at_s) == len(fleet.arrivals)
    assert most_in_a_second(left_at_s) <= 200
    assert sum(len(batch) for batch in ledger.outcome_rows()) == 300
    ledger.close()


@pytest.mark.proves("G4")
def test_a_stopped_run_goes_on_without_sending_a_settled_row_again(tmp_path: Path) -> None:
    """Stop, open the ledger again, go on: each row is applied exactly once."""
    fleet = Fleet.synthetic(60, 7, clock=CLOCK)
    rows = ListedRows(fleet.ids)
    ledger = seeded(tmp_path, rows)
    with SimulatorServer(fleet, key=KEY) as server:
        stop = asyncio.run(work_on(ledger, rows, server.url, rate="100/s", stop_after_s=0.3))
        assert stop is not None
        assert stop.exit_code == 130
        half = ledger.counts()
        assert 0 < half[RowState.ACCEPTED] < 60
        assert RowState.IN_FLIGHT not in half
        ledger.close()
        ledger = open_ledger(tmp_path)
        assert asyncio.run(work_on(ledger, rows, server.url, rate="100/s")) is None
    assert ledger.counts() == {RowState.ACCEPTED: 60}
    assert set(fleet.effects.values()) == {1}
    ledger.close()


def test_a_refused_key_costs_one_request(tmp_path: Path) -> None:
    """Exit 4, one request, every row pending."""
    fleet = Fleet.synthetic(20, 7, clock=CLOCK)
    rows = ListedRows(fleet.ids)
    ledger = seeded(tmp_path, rows)
    with SimulatorServer(fleet, key=Secret("sk_staging_another_key", reference="x")) as server:
        stop = asyncio.run(work_on(ledger, rows, server.url, rate="1000/s"))
    assert stop is not None
    assert stop.exit_code == 4
    assert len(fleet.arrivals) == 1
    assert ledger.counts() == {RowState.PENDING: 20}
    ledger.close()


def test_an_api_that_is_not_there_stops_the_run(tmp_path: Path) -> None:
    """Nothing listens: exit 3, every row pending."""
    rows = ListedRows(["d1", "d2"])
    ledger = seeded(tmp_path, rows)
    stop = asyncio.run(work_on(ledger, rows, "http://127.0.0.1:9", rate="1000/s"))
    assert stop is not None
    assert (stop.code, stop.exit_code) == ("BP407", 3)
    assert ledger.counts() == {RowState.PENDING: 2}
    ledger.close()
