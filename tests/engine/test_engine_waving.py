"""Waves are fed one after the other, and none begins before the gate of the one before holds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from engine_rig import WALL_0_US, Inline, Listed, Run, ScriptedApi, Slow, Told, accepts, id_in, shown

from bulkpatch.core.breaker import MIN_ANSWERS, OPEN_S
from bulkpatch.core.quantities import parse_rate, parse_threshold
from bulkpatch.core.queueing import PARKED_MAX
from bulkpatch.core.waves import Phase, WaveKeeper, WaveState
from bulkpatch.core.window import SendWindow
from bulkpatch.core.work import Stop, Why
from bulkpatch.engine.engine import Engine
from bulkpatch.engine.waving import APPROVED, DECIDED, DRAINED, PASSED, STARTED, WATCH_S, Waves
from bulkpatch.errors import Unreachable
from bulkpatch.ledger.memory import MemoryLedger
from bulkpatch.model import Gate, GateVerdict, PerRecipient, Progressed, Request, RowState, Threshold
from bulkpatch.plugins import PluginFailed

ASKED = Stop(why=Why.SIGNAL, code="BP503", reason="asked", exit_code=130)
NONE_FAILED = parse_threshold(0)


@dataclass
class FakeWatch:
    """engine.waving.Watch: answers by list, the last one for ever; remembers when it was asked."""

    looks: list[tuple[int, int, int]] = field(default_factory=lambda: [(0, 0, 0)])
    starts: int = 0
    asked_s: list[float] = field(default_factory=list)
    started: list[tuple[int, int]] = field(default_factory=list)
    failure: Exception | None = None

    async def start(self, wave: int, count: int) -> int:
        """As many as it has."""
        self.started.append((wave, count))
        return min(count, self.starts)

    async def look(self, wave: int) -> tuple[int, int, int]:
        """What the transfers of ``wave`` came to."""
        assert wave == 1
        self.asked_s.append(asyncio.get_running_loop().time())
        if self.failure is not None:
            raise self.failure
        await asyncio.sleep(0.01)
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


@dataclass
class FakeDecide:
    """engine.waving.Decide: answers by list, the last one for ever; remembers what it was told."""

    verdicts: list[GateVerdict | PluginFailed]
    told: list[tuple[int, int, int, dict[RowState, int]]] = field(default_factory=list)

    async def __call__(self, wave: WaveKeeper, states: Mapping[RowState, int]) -> GateVerdict:
        """What it says, after a second."""
        self.told.append((wave.wave.number, wave.tried, wave.failed, dict(states)))
        await asyncio.sleep(1.0)
        said = self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]
        if isinstance(said, PluginFailed):
            raise said
        return said


def states(sizes: Sequence[int], gate: Gate | None = None) -> tuple[WaveState, ...]:
    """Waves of so many rows, each with ``gate``."""
    return tuple(
        WaveState(number=number, rows=size, gate=gate or Gate(), first=number == 1, last=number == len(sizes))
        for number, size in enumerate(sizes, start=1)
    )


def run_of(
    sizes: Sequence[int],
    gate: Gate | None = None,
    *,
    api: ScriptedApi | None = None,
    meanwhile: Callable[[Engine], Awaitable[None]] | None = None,
    **asked: Any,
) -> Run:
    """A run of waves of so many rows; rows stand in the order of their waves. ``asked`` is whom their gates ask."""
    source = Listed(sum(sizes))
    numbers = [number for number, size in enumerate(sizes, start=1) for _ in range(size)]
    return Run(
        source=source,
        ledger=source.ledger(waves=numbers),
        api=api or ScriptedApi(accepts),
        waves=Waves(states=states(sizes, gate), who="ada", **asked),
        meanwhile=meanwhile,
    )


def resumed(run: Run, gate: Gate, **changed: object) -> Run:
    """The next process, which finds in the ledger where the waves stand."""
    ledger = run.ledger.reopened()
    assert run.waves is not None
    counts = ledger.wave_counts()
    acts = {kind: acts_of(ledger, kind) for kind in (DRAINED, PASSED, APPROVED, STARTED)}
    found = tuple(
        replace(
            state,
            gate=gate,
            tried=sum(count for at, count in counts[state.number].items() if at is not RowState.PENDING),
            passed=state.number in acts[PASSED],
        )
        for state in run.waves.states
    )
    waves = replace(
        run.waves,
        states=found,
        drained_at_us=acts[DRAINED],
        approved=frozenset(acts[APPROVED]),
        started=frozenset(acts[STARTED]),
    )
    again = replace(run, ledger=ledger, waves=waves, api=ScriptedApi(accepts), meanwhile=None)
    return replace(again, **changed)  # type: ignore[arg-type]


def acts_of(ledger: MemoryLedger, kind: str) -> dict[int, int]:
    """When ``kind`` was done to each wave."""
    return {json.loads(act.detail)["wave"]: act.at_us for act in ledger.acts() if act.kind == kind}


def kinds(run: Run) -> list[tuple[str, int]]:
    """The acts on record, each with its wave."""
    return [(act.kind, json.loads(act.detail).get("wave", 0)) for act in run.ledger.acts()]


def sent_s(run: Run) -> list[float]:
    """When each row was sent, in order, from the first on."""
    first = run.api.asked[0][0]
    return [at_s - first for at_s, _ in run.api.asked]


async def until(holds: Callable[[], bool]) -> None:
    """Wait for it, a tenth of a second at a time."""
    while not holds():  # noqa: ASYNC110  (time is virtual, and what is waited for has no event)
        await asyncio.sleep(0.1)


# ── feeding ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sizes", [[1], [5, 1], [1, 25, 7], [30, 1, 1, 30]])
def test_every_row_goes_in_its_wave_and_no_wave_begins_before_the_last_is_settled(sizes: Sequence[int]) -> None:
    run = run_of(sizes)
    assert run.to_its_end() is None
    assert run.ledger.counts() == {RowState.ACCEPTED: sum(sizes)}
    assert [id_in(request) for _, request in run.api.asked] == [one.destination_id for one in run.source.rows]
    last = len(sizes)
    assert kinds(run) == [(kind, number) for number in range(1, last) for kind in (DRAINED, PASSED)]
    assert all(act.actor == "ada" for act in run.ledger.acts())


def test_rows_of_a_later_wave_that_stand_before_others_wait_for_it() -> None:
    """The input's order is not the waves'."""
    source = Listed(30)
    numbers = [1 if row % 3 == 0 else 2 for row in range(1, 31)]
    run = Run(source=source, ledger=source.ledger(waves=numbers), api=ScriptedApi(accepts))
    run.waves = Waves(states=states([10, 20]))
    assert run.to_its_end() is None
    sent = [int(id_in(request)[1:]) for _, request in run.api.asked]
    assert sent == [*range(3, 31, 3), *(row for row in range(1, 31) if row % 3)]
    assert source.passes == 2


@pytest.mark.parametrize("order", ["first", "last"])
def test_a_vendor_that_fails_holds_up_no_row_of_another(order: str) -> None:
    """Though all rows that were fed so far are its, more are fed in search of others."""
    source = Listed(200)
    bad = {f"d{row}" for row in (range(1, 101) if order == "first" else range(101, 201))}
    sights = [{"vendor": "a" if one.destination_id in bad else "b"} for one in source.rows]
    api = ScriptedApi(lambda request: (503, {}) if id_in(request) in bad else accepts(request))
    run = Run(source=source, ledger=source.ledger(sights=sights), api=api)
    run.limits = replace(run.limits, attempts=9)
    stopped = run.to_its_end()
    assert stopped is not None
    assert (stopped.code, stopped.exit_code) == ("BP505", 3)
    assert run.ledger.counts() == {RowState.ACCEPTED: 100, RowState.PENDING: 100}
    good = [at_s - api.asked[0][0] for at_s, request in api.asked if id_in(request) not in bad]
    assert max(good) < OPEN_S
    assert len(api.asked) <= 100 + MIN_ANSWERS + run.limits.concurrency + 2


def test_what_did_not_fit_is_fed_again_once_the_rest_is_through() -> None:
    """More rows of a held vendor than are kept in memory: every one is sent when it is well again."""
    source = Listed(PARKED_MAX + 400, batch=500)
    sights = [{"vendor": "b" if row % 50 == 0 else "a"} for row in range(1, len(source.rows) + 1)]
    began: list[float] = []

    def until_it_is_well(request: Request) -> Told:
        now_s = asyncio.get_running_loop().time()
        began.append(now_s)
        well = now_s - began[0] > OPEN_S or int(id_in(request)[1:]) % 50 == 0
        return accepts(request) if well else (503, {})

    run = Run(source=source, ledger=source.ledger(sights=sights), api=ScriptedApi(until_it_is_well))
    run.limits = replace(run.limits, attempts=9, rate=parse_rate("1000/s"), concurrency=64)
    assert run.to_its_end() is None
    assert run.ledger.counts() == {RowState.ACCEPTED: len(source.rows)}
    assert source.passes == 2


def test_one_customer_is_served_one_by_one_beside_the_others() -> None:
    source = Listed(60)
    sights = [{"recipient_id": "r" if row <= 30 else None} for row in range(1, 61)]
    run = Run(
        source=source,
        ledger=source.ledger(sights=sights),
        api=ScriptedApi(accepts),
        per_recipient=PerRecipient(in_flight=1),
    )
    assert run.to_its_end() is None
    assert run.ledger.counts() == {RowState.ACCEPTED: 60}
    mine = [at_s for at_s, request in run.api.asked if int(id_in(request)[1:]) <= 30]
    assert min(after - before for before, after in pairwise(mine)) > 0.0499
    assert run.api.most_under_way > 1


# ── gates ────────────────────────────────────────────────────────────────────────────────────────


def test_a_wave_soaks_before_the_next_begins() -> None:
    run = run_of([6, 6], Gate(soak_s=300.0))
    assert run.to_its_end() is None
    times = sent_s(run)
    assert 300.0 <= times[6] - times[5] < 301.0
    assert any(notice.message == "wave 1: soaking" for notice in run.heard.notices)


def test_a_failure_that_the_gate_does_not_allow_stops_before_the_next_wave() -> None:
    bad = ScriptedApi(lambda request: (422, {}) if id_in(request) == "d4" else accepts(request))
    run = run_of([6, 6], Gate(failed=NONE_FAILED), api=bad)
    stopped = run.to_its_end()
    assert stopped is not None
    assert (stopped.code, stopped.exit_code) == ("BP506", 3)
    assert run.ledger.counts()[RowState.PENDING] >= 6
    assert (PASSED, 1) not in kinds(run)


def test_a_share_of_failures_stops_when_the_wave_is_through() -> None:
    """Five of six would be allowed one; two are too many, and the next wave never begins."""
    bad = ScriptedApi(lambda request: (422, {}) if id_in(request) in {"d1", "d6"} else accepts(request))
    run = run_of([6, 6], Gate(failed=parse_threshold("20%")), api=bad)
    stopped = run.to_its_end()
    assert stopped is not None
    assert stopped.code == "BP506"
    assert run.ledger.counts() == {RowState.ACCEPTED: 4, RowState.REJECTED: 2, RowState.PENDING: 6}
    assert kinds(run) == [(DRAINED, 1)]


@pytest.mark.parametrize("failed", [NONE_FAILED, parse_threshold("10%")])
def test_a_gate_judges_what_is_on_the_disk_however_slow_it_is(failed: Threshold) -> None:
    """The last row of the wave fails: the next wave waits to know."""
    bad = ScriptedApi(lambda request: (422, {}) if id_in(request) == "d6" else accepts(request))
    run = run_of([6, 6], Gate(failed=failed), api=bad)
    run.executor = Slow
    stopped = run.to_its_end()
    assert stopped is not None
    assert stopped.code == "BP506"
    assert run.ledger.counts() == {RowState.ACCEPTED: 5, RowState.REJECTED: 1, RowState.PENDING: 6}


def test_the_failure_of_the_canary_stops_with_one_destination_tried() -> None:
    run = run_of([1, 20], api=ScriptedApi(lambda _: (422, {})))
    stopped = run.to_its_end()
    assert stopped is not None
    assert stopped.code == "BP506"
    assert len(run.api.asked) == 1
    assert run.ledger.counts() == {RowState.REJECTED: 1, RowState.PENDING: 20}


def test_a_gate_waits_for_a_person_and_goes_on_at_once_when_one_says_so() -> None:
    async def approve(engine: Engine) -> None:
        await until(lambda: engine.dispatcher.wave.awaits)
        await asyncio.sleep(5000.0)
        assert engine.dispatcher.wave.phase is Phase.AWAITING
        engine.dispatcher.wave.approve()
        engine.wake()

    run = run_of([6, 6], Gate(approve=True), meanwhile=approve)
    assert run.to_its_end() is None
    times = sent_s(run)
    assert 5000.0 <= times[6] - times[5] < 5000.5
    (told,) = [notice for notice in run.heard.notices if "awaiting" in notice.message]
    assert told.code == "BP509"
    assert told.message == (
        "wave 1: awaiting approval: the gate asks for approval; say `bulkpatch approve RUN` or `bulkpatch abort RUN`"
    )


@pytest.mark.parametrize("approve", [False, True])
def test_a_stop_ends_a_run_in_whatever_phase_its_gate_is(*, approve: bool) -> None:
    """Awaiting a person, soaking or watching: within a moment, and the wave is not passed."""
    for gate in (Gate(approve=True), Gate(soak_s=9e4), Gate(transfers=0.95)):

        async def stop(engine: Engine) -> None:
            await until(lambda: engine.dispatcher.wave.phase is not Phase.SENDING)
            await asyncio.sleep(100.0)
            engine.stop(ASKED)

        watch = FakeWatch(looks=[(0, 0, 6)])
        run = run_of([6, 6], replace(gate, approve=gate.approve or approve), watch=watch, meanwhile=stop)
        assert run.to_its_end() == ASKED
        assert kinds(run) == [(DRAINED, 1)]
        assert run.ledger.counts() == {RowState.ACCEPTED: 6, RowState.PENDING: 6}


def test_a_stop_while_rows_are_sent_leaves_the_later_waves_alone() -> None:
    async def stop(engine: Engine) -> None:
        await until(lambda: engine.dispatcher.tally.sends >= 3)
        engine.stop(ASKED)

    run = run_of([20, 6], Gate(soak_s=10.0), meanwhile=stop)
    assert run.to_its_end() == ASKED
    assert kinds(run) == []
    assert run.ledger.counts()[RowState.PENDING] > 6


# ── transfers ────────────────────────────────────────────────────────────────────────────────────


def test_transfers_are_looked_at_until_all_have_ended_and_enough_succeeded() -> None:
    watch = FakeWatch(looks=[(0, 0, 6), (3, 3, 6), (6, 6, 6)])
    run = run_of([6, 6], Gate(transfers=0.95), watch=watch)
    assert run.to_its_end() is None
    gaps = [after - before for before, after in pairwise(watch.asked_s)]
    assert gaps == pytest.approx([WATCH_S] * 2, abs=0.1)
    assert kinds(run) == [(DRAINED, 1), (PASSED, 1)]
    assert watch.started == []


def test_transfers_that_fail_are_for_a_person_to_decide() -> None:
    async def approve(engine: Engine) -> None:
        await until(lambda: engine.dispatcher.wave.awaits)
        assert engine.dispatcher.wave.reason == "1 of 6 transfers since the change failed; 95% must succeed"
        engine.dispatcher.wave.approve()
        engine.wake()

    run = run_of([6, 6], Gate(transfers=0.95), watch=FakeWatch(looks=[(5, 6, 6)]), meanwhile=approve)
    assert run.to_its_end() is None
    assert run.ledger.counts() == {RowState.ACCEPTED: 12}


def test_no_transfer_in_the_window_pauses_and_never_passes() -> None:
    seen: list[tuple[float, str]] = []

    async def abort(engine: Engine) -> None:
        await until(lambda: engine.dispatcher.wave.awaits)
        seen.append((asyncio.get_running_loop().time(), engine.dispatcher.wave.reason))
        await asyncio.sleep(3000.0)
        assert engine.dispatcher.wave.phase is Phase.AWAITING
        engine.stop(ASKED)

    watch = FakeWatch(looks=[(0, 0, 6)])
    run = run_of([6, 6], Gate(transfers=0.95, window_s=600.0), watch=watch, meanwhile=abort)
    assert run.to_its_end() == ASKED
    ((at_s, reason),) = seen
    assert reason == "no transfer began after the change and ended in its window, so nothing can be said"
    assert 600.0 <= at_s - watch.asked_s[0] < 600.0 + WATCH_S
    assert len(watch.asked_s) <= 600.0 / WATCH_S + 2
    assert run.ledger.counts() == {RowState.ACCEPTED: 6, RowState.PENDING: 6}


def test_transfers_are_started_once_and_it_is_on_record_how_many() -> None:
    watch = FakeWatch(looks=[(0, 0, 6), (0, 0, 6), (2, 2, 2)], starts=2)
    gate = Gate(transfers=0.5, start_transfers=3)
    run = run_of([6, 6], gate, watch=watch)
    assert run.to_its_end() is None
    assert watch.started == [(1, 3)]
    (act,) = [act for act in run.ledger.acts() if act.kind == STARTED]
    assert json.loads(act.detail) == {"wave": 1, "count": 2}
    assert kinds(run) == [(DRAINED, 1), (STARTED, 1), (PASSED, 1)]


def test_transfers_that_an_earlier_process_started_are_not_started_again() -> None:
    gate = Gate(transfers=0.5, start_transfers=3)

    async def stop(engine: Engine) -> None:
        await until(lambda: engine.dispatcher.wave.looked)
        engine.stop(ASKED)

    watch = FakeWatch(looks=[(0, 0, 6)], starts=3)
    run = run_of([6, 6], gate, watch=watch, meanwhile=stop)
    assert run.to_its_end() == ASKED
    watch.looks = [(6, 6, 6)]
    again = resumed(run, gate)
    assert again.to_its_end() is None
    assert watch.started == [(1, 3)]
    assert kinds(again) == [(DRAINED, 1), (STARTED, 1), (PASSED, 1)]


def test_a_fleet_that_cannot_be_read_any_more_ends_the_run_and_passes_nothing() -> None:
    failure = Unreachable("BP407", "the fleet could not be read")
    run = run_of([6, 6], Gate(transfers=0.5), watch=FakeWatch(failure=failure))
    with pytest.raises(Unreachable):
        run.to_its_end()
    assert kinds(run) == [(DRAINED, 1)]


def test_a_gate_without_a_watch_that_asks_for_transfers_is_a_bug() -> None:
    """The assertion stays on, and ends the run."""
    with pytest.raises(AssertionError):
        run_of([6, 6], Gate(transfers=0.5)).to_its_end()


# ── going on ─────────────────────────────────────────────────────────────────────────────────────


def stopped_in(gate: Gate, after_s: float, *, tried: int = 6) -> Run:
    """A run that was asked to stop so long after its first wave was drained."""

    async def stop(engine: Engine) -> None:
        await until(lambda: engine.dispatcher.wave.phase is not Phase.SENDING)
        await asyncio.sleep(after_s)
        engine.stop(ASKED)

    run = run_of([tried, 6], gate, meanwhile=stop)
    assert run.to_its_end() == ASKED
    return run


def wait_of(run: Run) -> float:
    """How long after its start a process sent its first request."""
    return run.api.asked[0][0] - 1000.0


@pytest.mark.parametrize(("off_s", "waits_s"), [(0.0, 200.0), (150.0, 50.0), (1e6, 0.0)])
def test_what_soaked_before_a_resume_counts_and_the_wave_is_not_sent_again(off_s: float, waits_s: float) -> None:
    """By the wall, since the machine may have been started anew."""
    gate = Gate(soak_s=300.0)
    run = stopped_in(gate, 100.0)
    again = resumed(run, gate)
    assert again.waves is not None
    # A loop begins at one wall time; the process before ended about 100 s after it drained its wave.
    drained = {1: WALL_0_US - round((100.0 + off_s) * 1e6)}
    again.waves = replace(again.waves, drained_at_us=drained)
    assert again.to_its_end() is None
    assert wait_of(again) == pytest.approx(waits_s, abs=0.1)
    assert len(again.api.asked) == 6
    assert kinds(again) == [(DRAINED, 1), (PASSED, 1)]


@pytest.mark.parametrize("executor", [Inline, Slow])
def test_a_wave_that_was_drained_and_of_which_more_was_sent_soaks_anew(executor: type[Inline | Slow]) -> None:
    """Rows that a vendor's failure held back then are tried now: the next wave waits for what comes of them."""
    gate = Gate(soak_s=300.0)
    run = run_of([1, 6], gate)
    assert run.waves is not None
    run.waves = replace(run.waves, drained_at_us={1: WALL_0_US - 10**12})
    run.executor = executor
    assert run.to_its_end() is None
    times = sent_s(run)
    assert 300.0 <= times[1] - times[0] < 304.0
    assert kinds(run) == [(DRAINED, 1), (PASSED, 1)]


def test_a_gate_that_was_passed_is_not_waited_at_again() -> None:
    """Nor is it put on record again."""

    async def stop(engine: Engine) -> None:
        await until(lambda: engine.dispatcher.wave.wave.number == 2)
        engine.stop(ASKED)

    gate = Gate(soak_s=50.0)
    run = run_of([6, 6], gate, meanwhile=stop)
    assert run.to_its_end() == ASKED
    again = resumed(run, replace(gate, approve=True))
    assert again.to_its_end() is None
    assert wait_of(again) < 0.1
    assert kinds(again) == [(DRAINED, 1), (PASSED, 1)]


def test_an_approval_that_was_on_record_before_the_process_ended_holds() -> None:
    gate = Gate(approve=True)
    run = stopped_in(gate, 10.0)
    again = resumed(run, gate)
    assert again.waves is not None
    again.waves = replace(again.waves, approved=frozenset({1}))
    assert again.to_its_end() is None
    assert again.ledger.counts() == {RowState.ACCEPTED: 12}


# ── beside the waves ─────────────────────────────────────────────────────────────────────────────


def test_a_pause_starts_nothing_until_it_ends() -> None:
    async def pause(engine: Engine) -> None:
        await until(lambda: engine.dispatcher.tally.sends >= 5)
        engine.dispatcher.paused = True
        await asyncio.sleep(1.0)
        before = engine.dispatcher.tally.sends
        await asyncio.sleep(1000.0)
        assert engine.dispatcher.tally.sends == before
        engine.dispatcher.paused = False
        engine.wake()

    run = run_of([40], meanwhile=pause)
    assert run.to_its_end() is None
    assert max(after - before for before, after in pairwise(sent_s(run))) > 1000.0


def test_nothing_is_sent_before_the_window_opens_and_it_is_said_what_is_waited_for() -> None:
    opens = datetime.fromtimestamp(WALL_0_US / 1e6, UTC) + timedelta(seconds=500)
    run = run_of([20])
    closes = opens + timedelta(hours=1)
    run.window = SendWindow(days=frozenset(range(7)), start=opens.time(), end=closes.time(), tz=UTC)
    assert run.to_its_end() is None
    assert 500.0 <= wait_of(run) < 500.1
    assert run.ledger.counts() == {RowState.ACCEPTED: 20}
    shown_ = [event.snapshot for event in run.heard.events if isinstance(event, Progressed)]
    assert {one.bound_by for one in shown_ if one.elapsed_s < 499} == {"the send window"}
    assert shown_[-1].bound_by != "the send window"


@pytest.mark.proves("G9")
def test_a_row_that_was_not_the_one_that_was_planned_ends_the_run_before_it_is_sent() -> None:
    run = run_of([3])
    run.source.rows[1] = replace(run.source.rows[1], digest=b"another")
    with pytest.raises(Exception, match="row 2 is not the one that was planned"):
        run.to_its_end()
    assert "PATCH /destinations/d2" not in run.api.paths


def test_a_destination_is_shown_to_have_changed_only_by_what_was_answered() -> None:
    """The last request of a run that is answered by another destination's id stops it, and its row is in doubt."""
    run = run_of([1], api=ScriptedApi(lambda _: (200, shown("d9"))))
    stopped = run.to_its_end()
    assert stopped is not None
    assert (stopped.code, run.ledger.counts()) == ("BP413", {RowState.PENDING: 1})
    (known,) = run.ledger.pending_between(1, 1)
    assert known.doubted


# ── plugins at a gate ────────────────────────────────────────────────────────────────────────────


def test_no_wave_begins_before_the_plugin_lets_it() -> None:
    """It is told what is durable, wave by wave, and what it said is on record."""
    decide = FakeDecide([GateVerdict(passes=True, reason="CHG-1 is open")])
    run = run_of([2, 3, 4], Gate(plugin="ticket"), decide=decide)
    assert run.to_its_end() is None
    assert decide.told == [(1, 2, 0, {RowState.ACCEPTED: 2}), (2, 3, 0, {RowState.ACCEPTED: 5})]
    assert kinds(run) == [(kind, number) for number in (1, 2) for kind in (DRAINED, DECIDED, PASSED)]
    assert {"wave": 1, "passes": True, "reason": "CHG-1 is open"} in [
        json.loads(act.detail) for act in run.ledger.acts()
    ]
    assert sent_s(run)[2] >= 1.0
    assert "wave 1: the gate ticket lets the run go on: CHG-1 is open" in [one.message for one in run.heard.notices]


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        (GateVerdict(passes=False, reason="it is closed"), "BP511", "does not let the run go on: it is closed"),
        (GateVerdict(passes=False), "BP511", "does not let the run go on"),
        (PluginFailed("OSError"), "BP512", "gave no verdict: OSError"),
    ],
)
def test_a_plugin_that_does_not_say_yes_stops_the_run_and_a_resume_asks_it_again(
    said: GateVerdict | PluginFailed, code: str, words: str
) -> None:
    """Nothing of the next wave was sent, nothing is lost, and no wave that passed is sent again."""
    gate = Gate(plugin="ticket")
    run = run_of([2, 3], gate, decide=FakeDecide([said]))
    stopped = run.to_its_end()
    assert stopped is not None
    assert (stopped.code, stopped.exit_code) == (code, 3)
    assert stopped.reason == f"wave 1: the gate ticket {words}"
    assert run.ledger.counts() == {RowState.ACCEPTED: 2, RowState.PENDING: 3}
    assert run.waves is not None
    decide = FakeDecide([GateVerdict(passes=True)])
    again = resumed(run, gate)
    again = replace(again, waves=replace(again.waves or Waves(), decide=decide))
    assert again.to_its_end() is None
    assert [number for number, *_ in decide.told] == [1]
    assert len(again.api.asked) == 3


def test_a_run_that_is_stopped_while_the_plugin_thinks_does_not_wait_for_it() -> None:
    async def stop(engine: Engine) -> None:
        await until(lambda: engine.dispatcher.wave.phase is Phase.ASKING)
        engine.stop(ASKED)

    run = run_of([1, 1], Gate(plugin="ticket"), decide=FakeDecide([GateVerdict(passes=True)]), meanwhile=stop)
    assert run.to_its_end() == ASKED
    assert run.ledger.counts() == {RowState.ACCEPTED: 1, RowState.PENDING: 1}
