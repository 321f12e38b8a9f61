"""A credential that does not pass its test is not tried on all its destinations: a cap holds, the rest is held."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from core_rig import BUSY, DOUBT, FINAL, OK, Bench, row
from hypothesis import given, settings
from hypothesis import strategies as st
from test_core_fleet import FleetRun

from bulkpatch.core.credentials import NAMED_MAX, PROVED_MAX, Credentials
from bulkpatch.core.work import Work
from bulkpatch.model import (
    Operation,
    PendingRow,
    PerRecipient,
    RowState,
    Secret,
    SecretSlot,
    Stage,
    Staging,
    Verdict,
    VerdictKind,
)

WRONG = Verdict(kind=VerdictKind.FINAL, code="BP421", message="the connection test failed", http_status=200)
NO_TEST = Verdict(kind=VerdictKind.ACCEPTED, code="BP419", http_status=404)
LATER = Verdict(kind=VerdictKind.LATER, code="BP420", message="under way", http_status=200)
BOTH = (Stage.PRETEST, Stage.PATCH, Stage.VERIFY)
AFTER = (Stage.PATCH, Stage.VERIFY)
TESTS = {Stage.PRETEST, Stage.VERIFY}
Row = tuple[Operation, PendingRow]


def using(number: int, *sources: str | Secret, **known: Any) -> Row:
    """Row ``number`` with these secrets."""
    op, pending = row(number, **known)
    slots = tuple(SecretSlot(path=(f"p{at}", "password"), source=one) for at, one in enumerate(sources))
    return replace(op, secrets=slots), pending


def bench_of(stages: tuple[Stage, ...] = BOTH, *, cap: int | None = 3, **how: Any) -> Bench:
    """A dispatcher with that cap."""
    staging = Staging(stages=stages, deadline_s=30.0, poll_s=2.0, credential_failures=cap)
    return Bench(staging=staging, **{"concurrency": 8, "rate": "100/s", **how})


@dataclass(kw_only=True)
class Watched(FleetRun):
    """Asserts at every test that leaves that its credential, until one passed, keeps to ``cap``."""

    cap: int = 3
    failed: Counter[Any] = field(default_factory=Counter)
    proved: set[Any] = field(default_factory=set)
    tests: defaultdict[Any, list[int]] = field(default_factory=lambda: defaultdict(list))

    def _held_to(self) -> None:
        super()._held_to()
        out: Counter[Any] = Counter(key_of(work) for _, _, work, _ in self._under_way if work.stage in TESTS)
        for key, number in out.items():
            assert key in self.proved or self.failed[key] + number <= self.cap, key
        if self._under_way and (work := max(self._under_way, key=lambda one: one[1])[2]).stage in TESTS:
            self.tests[key_of(work)].append(work.op.row)

    def _hear(self) -> None:
        _, _, work, verdict = self._under_way[0]
        key = key_of(work)
        if work.stage in TESTS and (verdict.kind is VerdictKind.ACCEPTED or verdict.code == "BP419"):
            self.proved.add(key)
        self.failed[key] += work.stage in TESTS and verdict.code == "BP421"
        super()._hear()


def key_of(work: Work) -> Any:
    """By what this test tells credentials apart."""
    return tuple(slot.source for slot in work.op.secrets)


@pytest.mark.parametrize("stages", [BOTH, AFTER, (Stage.EXPECT, *BOTH), (Stage.PRETEST, Stage.PATCH)])
@pytest.mark.parametrize("cap", [1, 3, 8])
@pytest.mark.parametrize("concurrency", [1, 4, 50])
def test_a_wrong_secret_is_tried_as_often_as_the_cap_says_and_others_finish(
    stages: tuple[Stage, ...], cap: int, concurrency: int
) -> None:
    """Of 400 rows that share it; the rest is held and counted, and the run stops with the reference named."""
    rows = [using(number, "env:BAD" if number % 5 else "env:GOOD") for number in range(1, 501)]
    bench = bench_of(stages, cap=cap, concurrency=concurrency)
    bad = ("env:BAD",)

    def told(work: Work, _: float) -> Verdict:
        return WRONG if work.stage in TESTS and key_of(work) == bad else OK

    run = Watched(bench=bench, rows=rows, told=told, cap=cap)
    run.to_its_end()
    good = RowState.VERIFIED if Stage.VERIFY in stages else RowState.ACCEPTED
    wrong = RowState.REJECTED if Stage.PRETEST in stages else RowState.UNVERIFIED
    assert run.states() == {good: 100, wrong: cap}
    assert len(run.tests[bad]) == cap
    if Stage.PRETEST not in stages:
        assert sum(number % 5 != 0 for _, number, stage in run.asked if stage is Stage.PATCH) == cap
    stopped = bench.stopped()
    assert stopped is not None
    assert (stopped.code, stopped.exit_code) == ("BP510", 3)
    assert f"env:BAD ({400 - cap} rows)" in stopped.reason
    assert [one.code for one in bench.d.take_notices()] == ["BP510", "BP510"]
    assert bench.d.waiting == 0


def test_a_secret_that_has_passed_once_is_held_to_no_cap() -> None:
    """From then on a failure is of its destination."""
    bench = bench_of(concurrency=1)
    run = Watched(
        bench=bench,
        rows=[using(number, "env:A") for number in range(1, 21)],
        told=lambda work, _: WRONG if work.op.row != 3 and work.stage is Stage.PRETEST else OK,
    )
    run.to_its_end()
    assert run.states() == {RowState.VERIFIED: 1, RowState.REJECTED: 19}
    assert bench.stopped() is None


def test_until_it_has_passed_only_as_many_rows_as_may_fail_are_under_way() -> None:
    """A row waits for its credential, not for its turn: others go past it, and once it passed all go."""
    bench = bench_of(concurrency=8)
    bench.offer(*(using(number, "env:A") for number in range(1, 11)), *(using(number, "env:B") for number in (11, 12)))
    bench.end(bench.start(), BUSY, chance=0.9)  # the first request of a process goes alone
    under_way = [bench.start() for _ in range(4)]
    assert [work.op.row for work in under_way] == [2, 3, 11, 12]
    assert bench.d.pick(bench.now) is None
    bench.end(under_way[0], OK)
    assert len([work for _ in range(9) if (work := bench.d.pick(bench.now)) and bench.send(work)]) == 5


def test_a_row_whose_test_has_no_verdict_yet_counts_as_under_way() -> None:
    """It may fail at the vendor meanwhile: nobody takes its place until it is settled."""
    bench = bench_of(cap=1)
    bench.offer(using(1, "env:A"), using(2, "env:A"))
    bench.end(bench.start(), LATER)
    again = bench.start()
    assert again.op.row == 1
    bench.end(again, WRONG)
    assert bench.d.finished
    assert bench.d.take_notices()[0].code == "BP510"


def test_without_a_test_or_a_cap_nothing_is_counted() -> None:
    """Rows without secrets, runs that test nothing, and a missing cap go at full width."""
    rows = [using(number, "env:A") for number in range(1, 9)]
    for bench in (bench_of((Stage.PATCH,)), bench_of(cap=None)):
        bench.offer(*rows)
        bench.end(bench.start(), OK)
        assert len([bench.start() for _ in range(7)]) == 7
    bench = bench_of()
    bench.offer(*(using(number) for number in range(1, 9)))
    bench.end(bench.start(), WRONG)
    assert len([bench.start() for _ in range(7)]) == 7


def test_an_api_without_the_test_fails_none() -> None:
    bench = bench_of()
    rows = [using(number, "env:A") for number in range(1, 31)]
    run = Watched(bench=bench, rows=rows, told=lambda work, _: NO_TEST if work.stage is Stage.PRETEST else OK)
    run.to_its_end()
    assert run.states() == {RowState.VERIFIED: 30}


def test_a_refusal_that_is_no_test_counts_for_no_credential() -> None:
    """A PATCH that is refused, or a test that was refused as a request, says nothing of the secret."""
    bench = bench_of((Stage.PATCH, Stage.VERIFY), cap=2, concurrency=2)
    rows = [using(number, "env:A") for number in range(1, 31)]
    run = Watched(bench=bench, rows=rows, told=lambda _, __: FINAL, cap=2)
    run.to_its_end()
    assert run.states() == {RowState.REJECTED: 30}
    assert bench.stopped() is None


def test_inline_secrets_are_told_apart_by_what_they_are_and_named_without_it() -> None:
    """Two values are two credentials, the same value twice is one; the message has the row and never the value."""
    same, other = "first-inline-value", "second-inline-value"
    values = [same, same, same, same, other, other]
    rows = [using(n, Secret(value, reference="inline")) for n, value in enumerate(values, start=1)]
    bench = bench_of(cap=2, concurrency=2)
    run = FleetRun(bench=bench, rows=rows, told=lambda work, _: WRONG if work.op.row <= 4 else OK)
    run.to_its_end()
    stopped = bench.stopped()
    assert stopped is not None
    assert "inline (row 1) (2 rows)" in stopped.reason
    assert "value" not in repr([stopped, bench.d.take_notices()])
    assert run.states() == {RowState.REJECTED: 2, RowState.VERIFIED: 2}


def test_a_credential_is_all_the_references_of_a_row() -> None:
    """In the order of their paths: one of two that differs makes another credential."""
    counts = Credentials(Staging(stages=BOTH, credential_failures=3))
    one, two, three = (Work(*using(n, *names), attempts=3, stages=BOTH) for n, names in enumerate(["ab", "ab", "ac"]))
    assert counts.key(one) == counts.key(two) != counts.key(three)
    swapped = replace(one.op, secrets=one.op.secrets[::-1])
    assert counts.key(Work(swapped, one.known, attempts=3)) == counts.key(one)


def test_what_is_remembered_has_an_end() -> None:
    """Neither good credentials nor such as left no trace fill the memory; a message names ten."""
    counts = Credentials(Staging(stages=BOTH, credential_failures=1))
    work = Work(*using(1, "env:A"), attempts=3, stages=BOTH)
    for number in range(PROVED_MAX + 5):
        work.op = replace(work.op, secrets=(SecretSlot(path=("p",), source=f"env:{number}"),))
        counts.entered(work)
        counts.heard(work, OK)
    assert len(counts._proved) == PROVED_MAX  # noqa: SLF001  (what it holds on to)
    assert not counts._states  # noqa: SLF001
    counts.ended(work)
    work.op = replace(work.op, secrets=(SecretSlot(path=("p",), source="env:0"),))
    assert counts.key(work) is not None
    counts.entered(work)
    counts.ended(work)
    assert not counts._states  # noqa: SLF001
    for number in range(NAMED_MAX + 2):
        work.op = replace(work.op, secrets=(SecretSlot(path=("p",), source=f"bad:{number}"),))
        assert counts.heard(work, WRONG) is False
        counts.hold(work)
    stop = counts.left_over()
    assert stop is not None
    assert stop.reason.endswith(" and 2 more")


def test_rows_that_are_brought_once_more_are_counted_once() -> None:
    """What did not fit is fed again, and with it what is held."""
    counts = Credentials(Staging(stages=BOTH, credential_failures=1))
    works = [Work(*using(n, "env:A", wave=wave), attempts=3, stages=BOTH) for n, wave in ((1, 1), (2, 1), (3, 2))]
    assert counts.heard(works[0], WRONG) is False
    for work in (works[1], works[2]):
        counts.hold(work)
    counts.recount(2)
    counts.hold(works[2])
    stop = counts.left_over()
    assert stop is not None
    assert "env:A (2 rows)" in stop.reason


ANSWERS = {
    Stage.EXPECT: [OK, OK, OK, BUSY],
    Stage.PRETEST: [OK, WRONG, BUSY, LATER, FINAL],
    Stage.PATCH: [OK, OK, OK, DOUBT, BUSY, FINAL],
    Stage.VERIFY: [OK, OK, WRONG, LATER, BUSY],
}


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 60),
    credentials=st.integers(1, 4),
    wrong=st.integers(0, 2),
    vendors=st.integers(1, 3),
    recipients=st.integers(0, 3),
    limit=st.none() | st.integers(1, 2),
    cap=st.integers(1, 4),
    stages=st.sampled_from([BOTH, AFTER, (Stage.EXPECT, *BOTH), (Stage.PRETEST, Stage.PATCH)]),
    failing=st.sampled_from(["", "v0"]),
    concurrency=st.integers(1, 8),
)
def test_the_cap_holds_beside_all_other_limits_and_nothing_hangs(  # noqa: PLR0913
    *,
    seed: int,
    count: int,
    credentials: int,
    wrong: int,
    vendors: int,
    recipients: int,
    limit: int | None,
    cap: int,
    stages: tuple[Stage, ...],
    failing: str,
    concurrency: int,
) -> None:
    """With vendors that fail, customers that bear little, doubts and retries: each row ends, or is held."""
    chance = random.Random(seed)  # noqa: S311  (a seed)
    limits = PerRecipient(in_flight=limit, unverified=limit)
    bench = bench_of(stages, cap=cap, concurrency=concurrency, attempts=4, rate="50/s", per_recipient=limits)
    owners: Sequence[str | None] = [None, *(f"r{number}" for number in range(recipients))]
    rows = [
        using(
            number,
            f"env:{chance.randrange(credentials)}",
            vendor=f"v{chance.randrange(vendors)}",
            recipient_id=chance.choice(owners),
            passed=chance.choice([None, None, None, Stage.PATCH]) if Stage.VERIFY in stages else None,
        )
        for number in range(1, count + 1)
    ]

    def told(work: Work, _: float) -> Verdict:
        if work.known.vendor == failing:
            return BUSY
        if work.stage in TESTS and any(work.op.secrets[0].source == f"env:{number}" for number in range(wrong)):
            return WRONG
        return chance.choice(ANSWERS[work.stage])

    run = Watched(bench=bench, rows=rows, told=told, cap=cap, batch=chance.choice([1, 7, 100]))
    run.to_its_end()
    assert bench.d.in_slots == 0
    for key in run.failed:
        assert key in run.proved or run.failed[key] <= cap
    left = count - len(run.settled)
    stopped = bench.stopped()
    assert (stopped is not None) or not left
    if stopped is None:
        assert bench.d.waiting == 0
    elif stopped.code == "BP510":  # beside those held, others may wait for one of their customer that is among them
        held = int(stopped.reason.split()[0])
        assert 1 <= held <= left
        assert limit is not None or held == left
