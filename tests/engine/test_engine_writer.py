"""The writer lets nobody go on whose records are not on the disk."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from engine_rig import LIMITS, Heard, Inline, Listed, Run, ScriptedApi, Slow, Told, accepts, id_in, virtually

from bulkpatch.core.quantities import parse_rate
from bulkpatch.core.work import Stop, Why
from bulkpatch.engine.engine import Engine
from bulkpatch.engine.writer import GATHER_S, LedgerWriter
from bulkpatch.errors import LedgerFailed
from bulkpatch.ledger.memory import MemoryLedger
from bulkpatch.model import Event, Intent, Record, Request, RowSetBack, RowSettled, RowState, Stage


class Full:
    """A ledger whose disk has room for one commit."""

    def __init__(self) -> None:
        self.kept: list[Record] = []
        self.tried = 0

    def commit(self, records: Sequence[Record]) -> None:
        """The first is kept; then the disk is full."""
        self.tried += 1
        if self.kept:
            raise LedgerFailed("BP606", "the disk is full")
        self.kept += records


def intent(row: int) -> Intent:
    """Of its first attempt."""
    return Intent(row=row, attempt=1, stage=Stage.PATCH, at_us=0, at_s=0.0)


@pytest.mark.proves("G14", "G1")
def test_a_commit_that_fails_lets_nobody_go_on() -> None:
    """Neither who waits for it nor whoever comes later; it is told once, and nothing more is written."""
    ledger = Full()
    told: list[BaseException] = []

    async def act() -> list[str]:
        writer = LedgerWriter(ledger, Inline(), on_failure=told.append)  # type: ignore[arg-type]  # commit is all it uses
        ended = []
        for row in (1, 2, 3):
            try:
                await writer.durable(intent(row))
                ended.append("durable")
            except LedgerFailed:
                ended.append("refused")
        return ended

    assert virtually(act) == ["durable", "refused", "refused"]
    assert (ledger.kept, ledger.tried, len(told)) == ([intent(1)], 2, 1)


@pytest.mark.proves("G1")
def test_who_waits_goes_on_once_all_before_it_is_durable() -> None:
    """A record that was only queued is on the disk when one behind it is."""
    ledger = Listed(2).ledger()

    async def act() -> None:
        writer = LedgerWriter(ledger, Slow(), on_failure=lambda _: None)
        writer.put(intent(1))
        await writer.durable(intent(2))
        assert [row.open for row in ledger.pending_between(1, 2)] == [True, True]

    virtually(act)


@pytest.mark.proves("G1")
def test_no_request_leaves_before_its_intent_is_on_a_slow_disk() -> None:
    """Every commit takes half a second: at each arrival, of a second attempt too, the ledger holds its intent."""
    source = Listed(12)
    ledger = source.ledger()
    asked: Counter[str] = Counter()
    early: list[str] = []

    def script(request: Request) -> Told:
        name = id_in(request)
        asked[name] += 1
        ((_, events),) = ledger.story(name)
        if sum(isinstance(event, Intent) for event in events) < asked[name]:
            early.append(name)
        return (500, {}) if asked[name] == 1 and name in {"d3", "d7"} else accepts(request)

    run = Run(source=source, ledger=ledger, api=ScriptedApi(script), executor=Slow)
    assert run.to_its_end() is None
    assert (asked.total(), early) == (14, [])


@pytest.mark.parametrize(("has_time", "commits"), [(True, [5]), (False, [1, 1, 1, 1, 1])])
def test_a_commit_gathers_others_only_where_nobody_is_in_a_hurry(*, has_time: bool, commits: list[int]) -> None:
    """Five records within its patience, one after the other: durable in one commit, or each at once."""
    groups: list[int] = []

    class Counting:
        def commit(self, records: Sequence[Record]) -> None:
            groups.append(len(records))

    async def act() -> None:
        writer = LedgerWriter(Counting(), Inline(), on_failure=lambda _: None, has_time=lambda: has_time)  # type: ignore[arg-type]  # as above
        for row in range(1, 6):
            writer.put(intent(row))
            await asyncio.sleep(GATHER_S / 10)
        await writer.durable()

    virtually(act)
    assert groups == commits


def test_what_the_rate_holds_back_shares_commits() -> None:
    """Each row is an intent and an answer; with no patience this takes 350 commits. Nothing leaves late for it."""
    source = Listed(300, batch=300)
    ledger = source.ledger()
    limits = replace(LIMITS, rate=parse_rate("1000/s"), concurrency=100)
    run = Run(source=source, ledger=ledger, api=ScriptedApi(accepts), limits=limits)
    commit, groups = ledger.commit, list[int]()

    def counted(records: Sequence[Record]) -> None:
        groups.append(len(records))
        commit(records)

    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(ledger, "commit", counted)
        assert run.to_its_end() is None
    assert sum(groups) == 600
    assert len(groups) < 120
    seconds = run.api.asked[-1][0] - run.api.asked[0][0]
    assert seconds == pytest.approx(300 / 995, abs=0.06)  # and the first went alone


class Suspicious(Heard):
    """An observer that looks into the ledger whenever it is told of a row."""

    def __init__(self, ledger: MemoryLedger) -> None:
        super().__init__()
        self._ledger = ledger
        self.early: list[Event] = []

    def notify(self, event: Event) -> None:
        """Keep ``event``, and whether the ledger knew of it."""
        super().notify(event)
        if isinstance(event, RowSettled | RowSetBack):
            record = event.outcome if isinstance(event, RowSettled) else event.setback
            ((_, events),) = self._ledger.story(event.destination_id)
            if record not in events:
                self.early.append(event)


@pytest.mark.proves("G3")
def test_what_is_told_of_a_row_is_on_the_disk() -> None:
    """Done or set back: on a slow disk, too, it is counted and shown only when the ledger has it."""
    source = Listed(12)
    ledger = source.ledger()
    heard = Suspicious(ledger)
    failed: set[str] = set()

    def script(request: Request) -> Told:
        name = id_in(request)
        if name in {"d3", "d7"} - failed:
            failed.add(name)
            return 500, {}
        return accepts(request)

    run = Run(source=source, ledger=ledger, api=ScriptedApi(script), heard=heard, executor=lambda: Slow(0.05))
    assert run.to_its_end() is None
    told = [event for event in heard.events if isinstance(event, RowSettled | RowSetBack)]
    assert len(told) == 14
    assert heard.early == []


@pytest.mark.proves("G13")
def test_what_is_in_flight_when_a_stop_comes_is_put_on_record() -> None:
    """Each request that left has its answer in the ledger, and no other leaves any more."""
    source = Listed(40)
    run = Run(source=source, ledger=source.ledger(), api=ScriptedApi(accepts), executor=lambda: Slow(0.001))
    seen: list[int] = []

    async def stop(engine: Engine) -> None:
        await asyncio.sleep(0.2)
        seen.extend([run.api.under_way, len(run.api.asked)])
        engine.stop(Stop(why=Why.SIGNAL, code="BP503", reason="asked", exit_code=130))

    run.meanwhile = stop
    assert run.to_its_end() is not None
    under_way, asked = seen
    assert under_way > 1
    assert len(run.api.asked) == asked
    assert run.ledger.counts() == {RowState.ACCEPTED: asked, RowState.PENDING: 40 - asked}
