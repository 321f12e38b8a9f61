"""Each answer says how fast to go on and whether a lane, or all of the API, is down."""

from __future__ import annotations

import pytest
from core_rig import BUSY, DOUBT, FINAL, HALT, LATE, NEVER, OK, SLOW, UNMADE

from bulkpatch.core.adaptive import AdaptiveSpeed
from bulkpatch.core.breaker import OPEN_S
from bulkpatch.core.health import Health, Said, never_reached
from bulkpatch.core.work import Stop, Why
from bulkpatch.model import Notice, Verdict, VerdictKind

LATER = Verdict(kind=VerdictKind.LATER, http_status=200)
SKIP = Verdict(kind=VerdictKind.SKIP, http_status=200)
DOWN = Notice(code="BP502", message="the API seems to be down: waiting 60 s, then probing")


def health() -> Health:
    """Nothing was heard yet, at 100 requests a second."""
    return Health(AdaptiveSpeed(100.0, now_s=0.0))


def heard(one: Health, lane: str, *verdicts: Verdict, now_s: float = 0.0) -> Said:
    """What the last of the answers came to; all others came to nothing."""
    *earlier, last = [one.heard(lane, verdict, now_s, sent_s=now_s) for verdict in verdicts]
    assert earlier == [Said()] * len(earlier)
    return last


def probe(one: Health, lane: str, *verdicts: Verdict, now_s: float) -> Said:
    """The same, for the probes of a lane that is open."""
    assert one.lanes.lets_through(lane, now_s)
    return heard(one, lane, *verdicts, now_s=now_s)


@pytest.mark.parametrize("verdict", [OK, FINAL, UNMADE, LATER, SKIP])
def test_an_answer_in_order_says_nothing(verdict: Verdict) -> None:
    """However often; refusals of rows are the API at work."""
    one = health()
    assert heard(one, "a", *[verdict] * 200) == Said()
    assert one.lanes.breaker("a").openings == 0


@pytest.mark.parametrize(
    ("verdict", "reached"),
    [
        (OK, True),
        (FINAL, True),
        (BUSY, True),
        (SLOW, True),
        (HALT, True),
        (LATE, True),
        (NEVER, False),
        (UNMADE, False),
    ],
)
def test_the_api_was_reached_by_whatever_was_answered_or_may_have_been_applied(
    verdict: Verdict, *, reached: bool
) -> None:
    one = health()
    one.heard("a", verdict, 0.0, sent_s=0.0)
    one.heard("a", NEVER, 0.0, sent_s=0.0)
    assert one.reached is reached


def test_many_throttles_slow_down_once_an_event() -> None:
    """The first two say nothing: they may be chance. What was sent before the cut is of the same event."""
    one = health()
    assert heard(one, "a", SLOW, SLOW, SLOW) == Said(
        notice=Notice(code="BP406", message="the API asked to slow down: 40/s from now")
    )
    assert [one.heard("a", SLOW, 3.0, sent_s=-1.0) for _ in range(9)] == [Said()] * 9
    assert [one.heard("a", SLOW, 3.0, sent_s=0.1).notice is not None for _ in range(3)] == [False, False, True]


def test_only_whole_answers_say_how_fast_to_go() -> None:
    """A fault or a request that was never made is none."""
    one = health()
    heard(one, "a", SLOW, SLOW, *[LATE, NEVER, UNMADE] * 3)
    assert heard(one, "a", SLOW).notice is not None


@pytest.mark.parametrize("verdict", [SLOW, HALT])
def test_throttles_and_halts_say_nothing_about_an_outage(verdict: Verdict) -> None:
    one = health()
    for second in range(200):
        one.heard("a", verdict, float(second), sent_s=float(second))
    assert one.lanes.breaker("a").openings == 0


@pytest.mark.parametrize("verdict", [DOUBT, LATE, BUSY])
def test_a_fleet_of_one_unnamed_lane_that_fails_is_an_api_that_is_down(verdict: Verdict) -> None:
    """Nothing leaves for a minute, not even what is in line; then probes, and after two rounds of them a stop."""
    one = health()
    one.heard("", OK, 0.0, sent_s=0.0)
    assert heard(one, "", *[verdict] * 19) == Said(notice=DOWN, hold_until_s=OPEN_S)
    assert probe(one, "", verdict, now_s=OPEN_S) == Said(notice=DOWN, hold_until_s=2 * OPEN_S)
    reason = "the API seems to be down: most answers were failures, and so were the probes"
    assert probe(one, "", verdict, now_s=2 * OPEN_S) == Said(
        stop=Stop(why=Why.OUTAGE, code="BP502", reason=reason, exit_code=3)
    )


def test_an_unnamed_lane_beside_others_holds_nobody_once_it_is_held_for_good() -> None:
    """Its rows stay pending; nothing is waited for any more."""
    one = health()
    heard(one, "b", OK)
    heard(one, "", *[BUSY] * 20)
    probe(one, "", BUSY, now_s=OPEN_S)
    held = Notice(code="BP505", message="the API fails still: its rows stay pending")
    assert probe(one, "", BUSY, now_s=2 * OPEN_S) == Said(notice=held)


def test_an_api_that_answers_again_goes_on_at_half_speed() -> None:
    one = health()
    heard(one, "", *[BUSY] * 20)
    words = "the API answers again: going on at half speed"
    assert probe(one, "", OK, OK, OK, now_s=OPEN_S) == Said(notice=Notice(code="BP502", message=words), freed=True)
    assert one.speed.at(OPEN_S) == 50.0


def test_a_lane_that_fails_is_held_while_others_go_on() -> None:
    """By name, without a hold on all; after its last opening its rows stay pending."""
    one = health()
    heard(one, "bigquery", *[OK] * 60)
    assert heard(one, "postgres/password_auth", *[BUSY] * 9, *[OK] * 11) == Said()
    words = "most answers for redshift are failures: it is held for 60 s, then probed; others go on"
    assert heard(one, "redshift", *[BUSY] * 20) == Said(notice=Notice(code="BP505", message=words))
    assert probe(one, "redshift", BUSY, now_s=OPEN_S) == Said(notice=Notice(code="BP505", message=words))
    words = "redshift fails still: its rows stay pending"
    assert probe(one, "redshift", BUSY, now_s=2 * OPEN_S) == Said(notice=Notice(code="BP505", message=words))
    words = "held back, since most answers were failures: redshift"
    assert one.left_over() == Stop(why=Why.OUTAGE, code="BP505", reason=words, exit_code=3)


def test_a_lane_that_is_well_again_lets_its_rows_go() -> None:
    one = health()
    heard(one, "bigquery", *[OK] * 60)
    heard(one, "redshift", *[BUSY] * 20)
    words = "redshift answers again: going on at half speed"
    said = probe(one, "redshift", OK, OK, OK, now_s=OPEN_S)
    assert said == Said(notice=Notice(code="BP502", message=words), freed=True)
    assert one.left_over() is None


def test_an_outage_over_lanes_holds_all_and_the_third_stops() -> None:
    one = health()
    one.reached = True
    for lane in "abcdabcdabcdabcdabc":
        assert one.heard(lane, BUSY, 0.0, sent_s=0.0) == Said()
    assert one.heard("d", BUSY, 0.0, sent_s=0.0) == Said(notice=DOWN, hold_until_s=OPEN_S)
    for opening in (1, 2):
        now_s = opening * OPEN_S
        assert one.lanes.whole.lets_through(now_s, in_flight=0)
        said = one.heard("a", BUSY, now_s, sent_s=now_s)
        assert said.hold_until_s == (now_s + OPEN_S if opening == 1 else None)
    reason = "the API seems to be down: 3 times most answers were failures"
    assert said == Said(stop=Stop(why=Why.OUTAGE, code="BP502", reason=reason, exit_code=3))


def test_when_an_outage_over_lanes_is_over_it_is_the_api_that_answers_again() -> None:
    """Whichever lane the last probe was of; no lane was held, so none is let go."""
    one = health()
    for lane in "abcd" * 5:
        one.heard(lane, BUSY, 0.0, sent_s=0.0)
    assert one.lanes.whole.lets_through(OPEN_S, in_flight=0)
    words = "the API answers again: going on at half speed"
    assert heard(one, "a", OK, OK, OK, now_s=OPEN_S) == Said(notice=Notice(code="BP502", message=words))


def test_an_api_that_was_never_reached_stops_at_the_first_opening() -> None:
    """In the words of the last fault, which name the host; whether a lane opened or the whole."""
    stop = Stop(why=Why.OUTAGE, code="BP407", reason="the API was never reached: refused (api.example)", exit_code=3)
    assert never_reached("refused (api.example)") == stop
    assert heard(health(), "a", *[NEVER] * 20) == Said(stop=stop)
    one = health()
    assert [one.heard(lane, NEVER, 0.0, sent_s=0.0) for lane in "abcd" * 5] == [Said()] * 19 + [Said(stop=stop)]


def test_when_all_lanes_are_held_the_api_is_down() -> None:
    """One vendor after the other failed; there is nothing else to send."""
    one = health()
    for lane in "aaabb":
        one.lanes.breaker(lane).open(0.0)
    reason = "the API seems to be down: most answers were failures, and so were the probes"
    assert probe(one, "b", BUSY, now_s=OPEN_S) == Said(
        stop=Stop(why=Why.OUTAGE, code="BP502", reason=reason, exit_code=3)
    )


def test_nothing_is_left_over_where_no_lane_was_held() -> None:
    one = health()
    heard(one, "", *[BUSY] * 20)
    assert one.left_over() is None
