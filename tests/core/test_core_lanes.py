"""What fails in one lane holds that lane; what cannot be laid to one lane is an outage."""

from __future__ import annotations

import math

import pytest
from core_rig import row

from bulkpatch.core.breaker import MIN_ANSWERS, OPEN_S, BreakerState
from bulkpatch.core.lanes import OTHERS_MIN, Lanes, lane_of

OPEN, CLOSED, PROBING = BreakerState.OPEN, BreakerState.CLOSED, BreakerState.PROBING


def told(answers: str, now_s: float = 0.0) -> Lanes:
    """Lanes that were given ``answers``: a capital letter is a bad answer of that lane, a small one a good one."""
    lanes = Lanes()
    for answer in answers:
        lanes.record(answer.lower(), now_s, good=answer.islower())
    return lanes


def spent(lanes: Lanes, lane: str, now_s: float = 0.0) -> float:
    """Let ``lane`` open for the last time; when it did."""
    for _ in range(MIN_ANSWERS):
        lanes.record(lane, now_s, good=False)
    for _ in range(2):
        now_s += OPEN_S
        assert lanes.lets_through(lane, now_s)
        lanes.record(lane, now_s, good=False)
    return now_s


@pytest.mark.parametrize(
    ("fields", "vendor", "lane"),
    [
        (("postgres.password_auth.password",), None, "postgres/password_auth"),
        (("name", "postgres.host", "postgres.password_auth.username"), "redshift", "postgres/password_auth"),
        (("postgres.host",), None, "postgres"),
        (("name", "postgres.host"), None, "postgres"),
        (("postgres.host",), "redshift", "redshift"),
        (("name",), "postgres", "postgres"),
        (("name",), None, ""),
        ((), None, ""),
    ],
)
def test_a_lane_is_the_vendor_and_the_way_of_signing_in(fields: tuple[str, ...], vendor: str | None, lane: str) -> None:
    """The live vendor is better known than the body's, but only the body says how it signs in."""
    assert lane_of(*row(1, fields=fields, vendor=vendor)) == lane


@pytest.mark.parametrize(("answers", "state"), [("a" * 5 + "A" * 15, CLOSED), ("a" * 4 + "A" * 16, OPEN)])
def test_one_lane_of_several_opens_only_when_nearly_all_of_it_fails(answers: str, state: BreakerState) -> None:
    """Of many lanes with few answers each, some has half of them bad by chance."""
    assert told("b" + answers).breaker("a").state is state


def test_the_only_lane_opens_at_half() -> None:
    """It is the API as a whole, as far as anyone knows."""
    assert told("a" * 11 + "A" * 9).breaker("a").state is CLOSED
    assert told("a" * 10 + "A" * 10).breaker("a").state is OPEN


def test_a_lane_that_fails_is_held_and_the_others_go_on() -> None:
    lanes = told("A" * 20 + "b" * 5)
    assert (lanes.breaker("a").state, lanes.breaker("b").state, lanes.whole.state) == (OPEN, CLOSED, CLOSED)
    assert not lanes.lets_through("a", 59.0)
    assert lanes.lets_through("b", 0.0)
    assert lanes.whole.lets_through(0.0, in_flight=9)


@pytest.mark.parametrize(
    ("answers", "outage"),
    [
        ("A" * 20, False),
        ("A" * 15 + "B" * 4, False),
        ("A" * 15 + "B" * 5, True),
        ("A" * 14 + "B" * 5, False),
        ("A" * 15 + "b" * 2 + "B" * 3, True),
        ("A" * 15 + "b" * 3 + "B" * 3, True),
        ("A" * 15 + "b" * 3 + "B" * 2, False),
        ("b" * 10 + "B" * 4 + "A" * 15, False),
        ("a" * 6 + "b" * 5 + "A" * 5 + "B" * 4 + "C", False),
        ("a" * 5 + "b" * 5 + "A" * 5 + "B" * 4 + "C", True),
        ("ABCDEFGHIJ" * 2, True),
        ("aBcDeFgHiJ" * 2, False),
        ("aBcDeFgHiJ" * 2 + "KL", True),
        ("abCdeFghiJ" * 9, False),
    ],
)
def test_it_is_an_outage_when_the_lanes_beside_the_worst_fail_as_well(answers: str, *, outage: bool) -> None:
    """Half of all, and half of at least five from other lanes than the worst; a last good answer opens nothing."""
    assert OTHERS_MIN == 5
    lanes = told(answers)
    assert lanes.whole.state is (OPEN if outage else CLOSED)


def test_only_the_last_hundred_answers_are_looked_back_on() -> None:
    lanes = told("A" * 15 + "B" * 4 + "c" * 100 + "ABABABABAB")
    assert lanes.whole.state is CLOSED


def test_an_answer_tells_what_changed_for_the_lane_and_for_the_whole() -> None:
    lanes = told("A" * 19)
    assert lanes.record("a", 0.0, good=False) == (OPEN, None)
    assert [lanes.record("b", 0.0, good=False) for _ in range(5)] == [(None, None)] * 4 + [(None, OPEN)]
    assert lanes.whole.openings == 1
    assert lanes.record("b", 1.0, good=False) == (None, None)


def test_the_whole_forgets_the_answers_that_opened_it() -> None:
    """Once it is closed by its probes, it takes twenty new ones to open it again."""
    lanes = told("ABCDE" * 4)
    assert lanes.whole.lets_through(OPEN_S, in_flight=0)
    assert [lanes.record("z", OPEN_S, good=True) for _ in range(3)] == [(None, None), (None, None), (None, CLOSED)]
    assert [lanes.record(lane, OPEN_S, good=False)[1] for lane in "FGHIK" * 4] == [None] * 19 + [OPEN]


def test_what_was_answered_in_an_outage_is_laid_to_no_lane() -> None:
    """Not before it opened, not while it is open: seventeen bad answers and three good probes hold no lane."""
    lanes = told("A" * 17 + "B" * 5)
    assert lanes.whole.state is OPEN
    assert [lanes.record("b", 1.0, good=False) for _ in range(30)] == [(None, None)] * 30
    assert lanes.whole.lets_through(OPEN_S, in_flight=0)
    assert [lanes.record("a", OPEN_S, good=True) for _ in range(3)] == [(None, None), (None, None), (None, CLOSED)]
    assert [lanes.breaker(lane).state for lane in "ab"] == [CLOSED, CLOSED]
    assert not lanes.waiting


def test_a_probe_of_the_whole_is_one_of_its_lane_too() -> None:
    lanes = told("ABCDE" * 4)
    assert not lanes.is_probe("a")
    lanes.whole.lets_through(OPEN_S, in_flight=0)
    assert lanes.is_probe("a")
    assert lanes.is_probe("z")


def test_a_lane_is_probed_by_one_request_at_a_time() -> None:
    """Counted by the slots of the lane: the others are no matter."""
    lanes = told("A" * 20 + "b" * 5)
    lanes.entered("b")
    lanes.entered("a")
    assert not lanes.lets_through("a", OPEN_S)
    lanes.left("a")
    assert lanes.lets_through("a", OPEN_S)
    assert (lanes.is_probe("a"), lanes.is_probe("b")) == (True, False)
    lanes.entered("a")
    assert not lanes.lets_through("a", OPEN_S)


def test_a_probe_is_asked_for_where_a_lane_may_be_well_again() -> None:
    lanes = told("A" * 20 + "b" * 5)
    assert [*lanes.probes(OPEN_S - 1)] == []
    assert [*lanes.probes(OPEN_S)] == ["a"]
    lanes.entered("a")
    assert [*lanes.probes(OPEN_S)] == []


def test_a_lane_that_opened_for_the_last_time_is_held_for_good() -> None:
    lanes = told("b" * 60)
    now_s = spent(lanes, "a")
    assert lanes.held == ("a",)
    assert not lanes.lets_through("a", now_s + 1e6)
    assert [*lanes.probes(now_s + 1e6)] == []
    assert not lanes.all_held


def test_all_are_held_once_every_lane_that_was_tried_is() -> None:
    lanes = Lanes()
    before = lanes.all_held
    spent(lanes, "a")
    assert (before, lanes.all_held, lanes.held) == (False, True, ("a",))


def test_held_lanes_are_told_by_name() -> None:
    lanes = told("b" * 90)
    spent(lanes, "z")
    lanes.record("b", 0.0, good=True)
    for _ in range(3):
        lanes.breaker("c").open(0.0)
    assert lanes.held == ("c", "z")


def test_what_waits_is_what_will_be_tried_again() -> None:
    """A lane or the whole; but not one that is held for good."""
    lanes = told("b" * 60)
    assert (lanes.waiting, lanes.wakes_at(0.0)) == (False, math.inf)
    for _ in range(20):
        lanes.record("a", 7.0, good=False)
    assert (lanes.waiting, lanes.wakes_at(0.0)) == (True, 7.0 + OPEN_S)
    assert lanes.lets_through("a", 7.0 + OPEN_S)
    assert (lanes.waiting, lanes.wakes_at(0.0)) == (True, math.inf)
    for _ in range(2):
        lanes.breaker("a").open(0.0)
    assert (lanes.waiting, lanes.wakes_at(0.0)) == (False, math.inf)
    lanes.whole.open(3.0)
    assert (lanes.waiting, lanes.wakes_at(0.0)) == (True, 3.0 + OPEN_S)


def test_a_lane_whose_time_is_past_hides_no_other_that_is_still_open() -> None:
    """It could not be probed while the whole was open: then that is what is waited for."""
    lanes = Lanes()
    lanes.breaker("a").open(0.0)
    lanes.whole.open(50.0)
    assert [lanes.wakes_at(now_s) for now_s in (59.0, 60.0, 109.0, 110.0)] == [60.0, 110.0, 110.0, math.inf]
