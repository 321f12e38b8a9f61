"""A row counts its attempts, waits as the policy says, and makes the records that the ledger keeps."""

from __future__ import annotations

import math
from typing import Any

import pytest
from core_rig import BUSY, DOUBT, FINAL, OK, SLOW, ending, row
from hypothesis import given
from hypothesis import strategies as st

from bulkpatch.core.hints import WAIT_S_MAX
from bulkpatch.core.lifecycle import OPEN, TRANSITIONS
from bulkpatch.core.work import BACKOFF_BASE_S, BACKOFF_S_MAX, SPREAD, THROTTLE_BASE_S, Why, Work
from bulkpatch.model import Intent, Outcome, Passed, RowState, Setback, Stage, Verdict, VerdictKind


def work(number: int = 1, *, attempts: int = 5, **known: Any) -> Work:
    """A row on its way."""
    op, pending = row(number, **known)
    return Work(op, pending, attempts=attempts)


def throttle(asked_s: float | None) -> Verdict:
    """The API asks to wait ``asked_s``, or to slow down only."""
    return Verdict(kind=VerdictKind.RETRY, code="BP406", throttled=True, retry_after_s=asked_s)


def test_the_constants_are_those_of_the_design() -> None:
    assert (BACKOFF_S_MAX, BACKOFF_BASE_S, THROTTLE_BASE_S, SPREAD) == (20.0, 0.25, 1.0, 0.1)


@pytest.mark.parametrize(
    ("tried", "most_s"), [(0, 0.25), (1, 0.25), (2, 0.5), (3, 1.0), (7, 16.0), (8, 20.0), (9, 20.0), (1000, 20.0)]
)
@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_after_a_passing_failure_the_wait_doubles_up_to_twenty_seconds(
    tried: int, most_s: float, chance: float
) -> None:
    """U(0, min(20 s, 0.25 s · 2ⁿ)), n from 0: the cut comes before the draw. Throttles do not lengthen it."""
    assert work(tried=tried, throttled=9).wait_s(BUSY, chance) == pytest.approx(chance * most_s)


@pytest.mark.parametrize(("throttled", "most_s"), [(0, 1.0), (1, 1.0), (2, 2.0), (5, 16.0), (6, 20.0), (10, 20.0)])
@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_after_a_throttle_without_a_time_the_wait_doubles_from_one_second(
    throttled: int, most_s: float, chance: float
) -> None:
    """Other failures do not lengthen it."""
    assert work(tried=9, throttled=throttled).wait_s(throttle(None), chance) == pytest.approx(chance * most_s)


@pytest.mark.parametrize(
    ("throttled", "asked_s", "chance", "wait_s"),
    [
        (1, 30.0, 0.0, 30.0),
        (1, 30.0, 0.5, 31.5),
        (5, 3.0, 0.5, 8.15),
        (5, 3.0, 0.0, 3.0),
        (1, 600.0, 0.5, 630.0),
        (1, 10_000.0, 0.0, 600.0),
    ],
)
def test_what_the_api_asks_for_is_waited_at_least_and_a_tenth_more_at_most(
    throttled: int, asked_s: float, chance: float, wait_s: float
) -> None:
    """max(backoff, asked) + U(0, 10 % of asked): many clients return at once."""
    assert work(throttled=throttled).wait_s(throttle(asked_s), chance) == pytest.approx(wait_s)


@given(
    tried=st.integers(0, 40),
    throttled=st.integers(0, 40),
    asked_s=st.none() | st.floats(0, 1e9),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_every_wait_is_bounded(tried: int, throttled: int, asked_s: float | None, chance: float) -> None:
    waiting = work(tried=tried, throttled=throttled)
    assert 0 <= waiting.wait_s(DOUBT, chance) <= BACKOFF_S_MAX
    asked = min(asked_s or 0.0, WAIT_S_MAX)
    assert asked <= waiting.wait_s(throttle(asked_s), chance) <= max(asked, BACKOFF_S_MAX) + SPREAD * asked


@pytest.mark.proves("G2")
@pytest.mark.parametrize(
    ("known", "tried", "doubted", "allowed"),
    [
        ({}, 0, False, 5),
        ({"tried": 2, "doubted": True}, 2, True, 5),
        ({"tried": 4}, 4, False, 5),
        ({"tried": 5}, 5, False, 6),
        ({"tried": 9}, 9, False, 10),
        ({"open": True}, 1, True, 5),
        ({"tried": 4, "open": True}, 5, True, 6),
    ],
)
def test_a_row_goes_on_where_the_ledger_left_it_and_always_has_one_attempt_more(
    known: dict[str, Any], tried: int, *, doubted: bool, allowed: int
) -> None:
    """An open intent was an attempt, and may have been applied."""
    op, pending = row(1, attempt=7, throttled=3, copies=2, **known)
    resumed = Work(op, pending, attempts=5)
    assert (resumed.tried, resumed.doubted, resumed.allowed) == (tried, doubted, allowed)
    assert (resumed.attempt, resumed.throttled, resumed.copies) == (7, 3, 2)
    assert (resumed.first_s, resumed.probe, resumed.stage) == (math.inf, False, Stage.PATCH)


def test_intents_are_numbered_on_from_the_last() -> None:
    resumed = work(3, attempt=2)
    assert [resumed.intent(10, 1.5), resumed.intent(20, 2.5)] == [
        Intent(row=3, attempt=3, stage=Stage.PATCH, at_us=10, at_s=1.5),
        Intent(row=3, attempt=4, stage=Stage.PATCH, at_us=20, at_s=2.5),
    ]


@pytest.mark.parametrize("counted", [True, False])
def test_a_setback_says_what_happened_and_how_long_the_row_waits(*, counted: bool) -> None:
    set_back = work(3, attempt=2).setback(ending(DOUBT), wait_s=1.2345678, counted=counted)
    assert set_back == Setback(
        row=3,
        attempt=2,
        stage=Stage.PATCH,
        at_us=7,
        code="BP411",
        error="500",
        http_status=500,
        latency_us=1000,
        maybe_applied=True,
        counted=counted,
        wait_us=1_234_568,
    )
    assert not work().setback(ending(SLOW), wait_s=0, counted=counted).maybe_applied


def test_a_setback_without_a_code_is_a_bug_with_a_code() -> None:
    nameless = Verdict(kind=VerdictKind.RETRY)
    assert work().setback(ending(nameless), wait_s=0, counted=True).code == "BP901"


def test_what_was_withdrawn_was_no_attempt_and_what_was_lost_may_have_been_applied() -> None:
    row_3 = work(3, attempt=2)
    assert row_3.withdrawn(7) == Setback(
        row=3,
        attempt=2,
        stage=Stage.PATCH,
        at_us=7,
        code="BP503",
        error="not sent: the run stopped before its turn",
        counted=False,
        withdrawn=True,
    )
    assert row_3.lost(7) == Setback(
        row=3,
        attempt=2,
        stage=Stage.PATCH,
        at_us=7,
        code="BP418",
        error="the process ended before the answer came",
        maybe_applied=True,
    )


STAGES = (Stage.EXPECT, Stage.PRETEST, Stage.PATCH, Stage.VERIFY)


@pytest.mark.parametrize(
    ("known", "stages"),
    [
        ({}, "expect pretest patch verify"),
        ({"passed": Stage.EXPECT}, "expect pretest patch verify"),
        ({"passed": Stage.PRETEST}, "expect pretest patch verify"),
        ({"doubted": True}, "patch verify"),
        ({"open": True, "open_stage": Stage.PATCH}, "patch verify"),
        ({"open": True, "open_stage": Stage.EXPECT}, "expect pretest patch verify"),
        ({"passed": Stage.PATCH}, "verify"),
        ({"passed": Stage.PATCH, "open": True, "open_stage": Stage.VERIFY}, "verify"),
    ],
)
def test_a_row_goes_through_the_stages_that_are_left(known: dict[str, Any], stages: str) -> None:
    """Guards are asked anew before a first patch, and never once one may have been applied."""
    op, pending = row(1, **known)
    one = Work(op, pending, attempts=5, stages=STAGES)
    passed = [one.stage]
    while (following := one.next_stage) is not None:
        one.advance()
        assert one.stage is following
        passed.append(one.stage)
    assert " ".join(passed) == stages


@pytest.mark.parametrize(
    ("known", "doubted", "begun"),
    [
        ({}, False, False),
        ({"doubted": True}, True, True),
        ({"open": True}, True, True),
        ({"open": True, "open_stage": Stage.PRETEST}, False, False),
        ({"passed": Stage.PATCH}, False, True),
        ({"passed": Stage.PATCH, "open": True, "open_stage": Stage.VERIFY}, False, True),
        ({"passed": Stage.EXPECT}, False, False),
    ],
)
def test_only_a_patch_may_have_changed_a_destination(known: dict[str, Any], *, doubted: bool, begun: bool) -> None:
    """A row may have begun without a doubt: its patch was accepted and is to be verified."""
    op, pending = row(1, **known)
    one = Work(op, pending, attempts=5, stages=STAGES)
    assert (one.doubted, one.begun) == (doubted, begun)


def test_each_stage_has_its_own_attempts_and_deadline() -> None:
    """What an earlier process tried counts for the stage in which it did."""
    op, pending = row(1, tried=4, throttled=3)
    one = Work(op, pending, attempts=5, stages=STAGES)
    seen = [(one.stage, one.tried, one.throttled, one.allowed)]
    while one.next_stage is not None:
        one.tried, one.throttled, one.first_s = 5, 9, 7.0
        one.advance()
        assert one.first_s == math.inf
        seen.append((one.stage, one.tried, one.throttled, one.allowed))
    assert seen == [
        (Stage.EXPECT, 0, 0, 5),
        (Stage.PRETEST, 0, 0, 5),
        (Stage.PATCH, 4, 3, 5),
        (Stage.VERIFY, 0, 0, 5),
    ]


@pytest.mark.parametrize(("open_stage", "tried"), [(None, 2), (Stage.VERIFY, 3)])
def test_a_verification_that_is_gone_on_with_keeps_its_attempts(open_stage: Stage | None, tried: int) -> None:
    op, pending = row(1, passed=Stage.PATCH, tried=2, throttled=1, open=open_stage is not None, open_stage=open_stage)
    one = Work(op, pending, attempts=5, stages=STAGES)
    assert (one.stage, one.tried, one.throttled) == (Stage.VERIFY, tried, 0)  # a poll is no throttle


@pytest.mark.parametrize(("open_stage", "maybe"), [(None, True), (Stage.PATCH, True), (Stage.VERIFY, False)])
def test_only_a_patch_that_was_lost_may_have_been_applied(open_stage: Stage | None, *, maybe: bool) -> None:
    op, pending = row(1, open=True, open_stage=open_stage, passed=Stage.PATCH if open_stage is Stage.VERIFY else None)
    lost = Work(op, pending, attempts=5, stages=STAGES).lost(7)
    assert (lost.stage, lost.maybe_applied) == (open_stage or Stage.PATCH, maybe)


def test_a_stage_that_was_passed_is_put_on_record_with_what_it_showed() -> None:
    seen = Verdict(kind=VerdictKind.ACCEPTED, code="BP422", http_status=200)
    assert work(3, attempt=2).passed(ending(seen, facts=b"{}")) == Passed(
        row=3, attempt=2, stage=Stage.PATCH, at_us=7, http_status=200, latency_us=1000, code="BP422", facts=b"{}"
    )


def test_a_verified_row_shows_the_facts_of_its_patch_unless_it_brings_its_own() -> None:
    one = work(1)
    one.facts = b'{"name":"patched"}'
    assert one.outcome(RowState.VERIFIED, ending(OK)).facts == b'{"name":"patched"}'
    assert one.outcome(RowState.VERIFIED, ending(OK, facts=b"{}")).facts == b"{}"


def test_an_outcome_carries_the_last_attempt_and_the_replys_facts() -> None:
    row_3 = work(3, attempt=2)
    assert row_3.outcome(RowState.ACCEPTED, ending(OK, facts=b"{}")) == Outcome(
        row=3,
        attempt=2,
        stage=Stage.PATCH,
        state=RowState.ACCEPTED,
        at_us=7,
        http_status=200,
        latency_us=1000,
        facts=b"{}",
    )
    refused = row_3.outcome(RowState.REJECTED, ending(FINAL))
    assert (refused.http_status, refused.code, refused.error, refused.facts) == (422, "BP401", "no", None)


def test_an_unsent_outcome_has_no_answer_in_it() -> None:
    assert work(3, attempt=2).unsent(RowState.REJECTED, "BP417", "no such file", 7) == Outcome(
        row=3, attempt=2, stage=Stage.PATCH, state=RowState.REJECTED, at_us=7, code="BP417", error="no such file"
    )


@pytest.mark.parametrize("state", RowState)
def test_an_outcome_that_the_table_does_not_have_is_a_bug(state: RowState) -> None:
    """The assertions stay on: neither a sent row nor an unsent one ends where no arrow leads, or open."""
    if state in TRANSITIONS[RowState.IN_FLIGHT] - OPEN:
        assert work().outcome(state, ending(OK)).state is state
    else:
        with pytest.raises(AssertionError):
            work().outcome(state, ending(OK))
    if state in TRANSITIONS[RowState.PENDING] - OPEN:
        assert work().unsent(state, "BP417", "", 0).state is state
    else:
        with pytest.raises(AssertionError):
            work().unsent(state, "BP417", "", 0)


def test_reasons_to_stop_are_ordered_by_their_strength() -> None:
    assert sorted(Why) == [Why.NOT, Why.GUARD, Why.OUTAGE, Why.SIGNAL, Why.HALT, Why.BROKEN]
