"""The pacer never lets more than the rate leave in any window, and never bursts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from core_rig import most_in
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulkpatch.core.pacer import CATCH_UP_S, PACE_SHARE, WINDOW_SLACK_S, Pacer, Window
from bulkpatch.core.quantities import parse_rate

RATES = st.sampled_from(["1/s", "5/s", "37/s", "200/s", "90/min", "30/min", "4000/h", "3/h"])
DELAYS = st.floats(0, 0.4) | st.floats(0, 30)
STALLS = st.just(0.0) | st.floats(0, 3) | st.floats(0, 100)


@dataclass
class Sender:
    """Grants from ``pacer`` as soon as it may; each request leaves some time after its grant."""

    pacer: Pacer
    now: float
    granted: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    under_way: list[float] = field(default_factory=list)

    def send(self, delay_s: float) -> None:
        """Wait for a grant; the request leaves ``delay_s`` later."""
        while (ready := self.pacer.ready_at(self.now)) > self.now:
            now = min(ready, *self.under_way, math.inf)
            assert self.now < now < math.inf, "it would wait for ever"
            self.now = now
            self.leave()
        self.pacer.grant(self.now)
        self.granted.append(self.now)
        self.under_way.append(self.now + delay_s)
        self.left.append(self.now + delay_s)
        self.leave()

    def leave(self) -> None:
        """What is due to leave by now has left."""
        for at in sorted(at for at in self.under_way if at <= self.now):
            self.under_way.remove(at)
            self.pacer.sent(at)


def assert_held(left: list[float], rate: str) -> None:
    """No window of a second or of the rate's unit holds more than the rate."""
    held = parse_rate(rate)
    assert most_in(left, 1.0) <= math.ceil(held.per_s)
    assert most_in(left, float(held.unit_s)) <= held.count


def test_the_rate_is_used_to_within_half_a_per_cent_and_little_is_made_up() -> None:
    assert (PACE_SHARE, WINDOW_SLACK_S, CATCH_UP_S) == (0.995, 0.002, 0.005)


@settings(max_examples=150, deadline=None)
@given(
    rate=RATES,
    steps=st.lists(
        st.tuples(
            DELAYS,
            STALLS,
            st.none() | st.floats(0.001, 2.0),
            st.none() | st.floats(-1, 40),
        ),
        max_size=60,
    ),
)
@example(rate="3/h", steps=[(0.0, 0.0, None, None)] * 8)
@example(rate="5/s", steps=[(0.4, 0.0, None, None), (0.0, 0.5, None, None)] * 20)
def test_no_window_holds_more_than_the_rate(
    rate: str, steps: list[tuple[float, float, float | None, float | None]]
) -> None:
    """However late each request leaves, however the caller stalls, and whatever changes speed and holds in between."""
    pacer = Pacer(parse_rate(rate), now_s=0.0)
    sender, held_until_s = Sender(pacer, 0.0), 0.0
    for delay_s, stall_s, share, hold_s in steps:
        sender.now += stall_s
        sender.leave()
        if share is not None:
            pacer.set_speed(share * pacer.rate.per_s)
        if hold_s is not None:
            held_until_s = max(held_until_s, sender.now + hold_s)
            pacer.hold_until(sender.now + hold_s)
        sender.send(delay_s)
        assert sender.granted[-1] >= held_until_s
        assert pacer.speed <= pacer.rate.per_s
    assert_held(sender.left, rate)


@settings(max_examples=80, deadline=None)
@given(
    rate=RATES,
    before=st.lists(st.tuples(DELAYS, STALLS), max_size=40),
    gap_s=st.floats(0, 5),
    after=st.lists(st.tuples(DELAYS, STALLS), max_size=40),
)
def test_a_resume_holds_every_window_that_spans_it(
    rate: str, before: list[tuple[float, float]], gap_s: float, after: list[tuple[float, float]]
) -> None:
    """What the earlier process sent counts in the windows of the next, in whatever order it is told."""
    sender = Sender(Pacer(parse_rate(rate), now_s=0.0), 0.0)
    for delay_s, stall_s in before:
        sender.now += stall_s
        sender.leave()
        sender.send(delay_s)
    earlier, now_s = sender.left, max([sender.now, *sender.left]) + gap_s
    resumed = Sender(Pacer(parse_rate(rate), now_s=now_s, history=reversed(earlier)), now_s)
    for delay_s, stall_s in after:
        resumed.now += stall_s
        resumed.leave()
        resumed.send(delay_s)
    assert_held(earlier + resumed.left, rate)


@settings(max_examples=60, deadline=None)
@given(rate=st.sampled_from(["1/s", "10/s", "600/min"]), stalls=st.lists(STALLS, min_size=2, max_size=60))
def test_grants_are_spaced_however_the_caller_stalls(rate: str, stalls: list[float]) -> None:
    """Burst 1: two grants are a spacing apart, but for the little lateness that is made up."""
    sender = Sender(Pacer(parse_rate(rate), now_s=0.0), 0.0)
    for stall_s in stalls:
        sender.now += stall_s
        sender.send(0.0)
    gaps = [after - before for before, after in zip(sender.granted, sender.granted[1:], strict=False)]
    assert min(gaps) >= 1 / (parse_rate(rate).per_s * PACE_SHARE) - CATCH_UP_S - 1e-9


@pytest.mark.parametrize(("rate", "seconds"), [("100/s", 60), ("600/min", 300), ("7200/h", 600)])
def test_the_rate_is_reached(rate: str, seconds: int) -> None:
    """With prompt sends and timers a little late, at least 99 % of the limit leaves."""
    pacer, now, sends = Pacer(parse_rate(rate), now_s=0.0), 0.0, 0
    while now < seconds:
        now = max(now, pacer.ready_at(now)) + 0.0008
        pacer.grant(now)
        pacer.sent(now)
        sends += 1
    assert sends >= 0.99 * seconds * parse_rate(rate).per_s


@pytest.mark.proves("G5")
def test_lateness_is_made_up_only_a_little() -> None:
    """After a stall of ten seconds, the next requests are spaced, not sent at once."""
    pacer = Pacer(parse_rate("10/s"), now_s=0.0)
    pacer.grant(0.0)
    pacer.sent(0.0)
    pacer.grant(10.0)
    pacer.sent(10.0)
    assert pacer.ready_at(10.0) == pytest.approx(10.0 + 0.1 / PACE_SHARE - CATCH_UP_S)


def test_nothing_leaves_while_the_second_before_a_resume_counts() -> None:
    """What an earlier process sent stands in the window of the next one."""
    pacer = Pacer(parse_rate("5/s"), now_s=100.0, history=[99.5, 99.6, 99.7, 99.8, 99.9])
    assert pacer.ready_at(100.0) == 99.5 + 1.0 + WINDOW_SLACK_S


def test_a_resume_that_knows_its_past_is_spaced_from_it() -> None:
    """The bucket starts empty: the first request is a spacing after the last one, in whatever order they are told."""
    pacer = Pacer(parse_rate("5/s"), now_s=100.0, history=[99.95, 99.0])
    assert pacer.ready_at(100.0) == pytest.approx(99.95 + 0.2 / PACE_SHARE)
    assert Pacer(parse_rate("5/s"), now_s=100.0, history=[50.0]).ready_at(100.0) == 100.0


def test_a_resume_that_cannot_know_its_past_is_held() -> None:
    pacer = Pacer(parse_rate("5/s"), now_s=100.0, not_before_s=101.0)
    assert pacer.ready_at(100.0) == 101.0
    assert pacer.ready_at(101.5) == 101.5


def test_the_first_request_of_a_run_may_leave_at_once() -> None:
    assert Pacer(parse_rate("1/h"), now_s=3.0).ready_at(3.0) == 3.0


@pytest.mark.proves("G5")
def test_a_granted_request_counts_until_it_is_known_when_it_left() -> None:
    """However long that takes; a window full of such requests opens only when one has left."""
    pacer = Pacer(parse_rate("1/s"), now_s=0.0)
    pacer.grant(0.0)
    assert pacer.ready_at(1e6) == math.inf
    pacer.sent(1e6)
    assert pacer.ready_at(1e6) == 1e6 + 1.0 + WINDOW_SLACK_S


def test_a_window_is_a_little_longer_than_its_name() -> None:
    """The next fits when the one that is as many places back as the window holds has left it."""
    window = Window(2, 1.0, history=[10.3, 10.0, 10.1])
    assert window.ready_at(10.5) == 10.1 + 1.0 + WINDOW_SLACK_S
    assert window.ready_at(11.2) == 11.2
    window = Window(2, 1.0, history=[10.0])
    assert window.ready_at(10.5) == 10.5


def test_requests_that_leave_in_another_order_than_they_were_granted_are_counted_in_theirs() -> None:
    window = Window(2, 1.0)
    window.unsent = 2
    window.sent(10.4)
    window.sent(10.0)
    assert window.unsent == 0
    assert window.ready_at(10.5) == 10.0 + 1.0 + WINDOW_SLACK_S


@pytest.mark.proves("G5")
def test_a_rate_a_minute_holds_in_each_second_and_in_each_minute() -> None:
    """90 a minute is two in any second and 90 in any minute."""
    pacer = Pacer(parse_rate("90/min"), now_s=0.0, history=[0.0, 0.1])
    assert pacer.ready_at(0.2) == pytest.approx(1.0 + WINDOW_SLACK_S)
    full = Pacer(parse_rate("90/min"), now_s=45.0, history=[index / 2 for index in range(90)])
    assert full.ready_at(45.5) == pytest.approx(60.0 + WINDOW_SLACK_S)


def test_a_lower_speed_holds_at_once() -> None:
    """A cut spaces the very next request."""
    pacer = Pacer(parse_rate("10/s"), now_s=0.0)
    pacer.grant(0.0)
    pacer.sent(0.0)
    pacer.set_speed(1.0)
    assert pacer.ready_at(0.0) == pytest.approx(1 / PACE_SHARE)


def test_a_higher_speed_holds_from_the_next_grant_on() -> None:
    """What was promised at the lower speed stays."""
    pacer = Pacer(parse_rate("10/s"), now_s=0.0)
    pacer.set_speed(1.0)
    first = pacer.ready_at(0.0)
    pacer.grant(first)
    pacer.sent(first)
    second = pacer.ready_at(first)
    pacer.set_speed(10.0)
    assert pacer.ready_at(first) == second
    pacer.grant(second)
    pacer.sent(second)
    assert pacer.ready_at(second) == pytest.approx(second + 0.1 / PACE_SHARE)


@pytest.mark.proves("G5")
@settings(max_examples=80, deadline=None)
@given(
    units=st.sampled_from(
        [("5/s", "2/s"), ("2/s", "37/s"), ("30/min", "90/min"), ("90/min", "30/min"), ("5/s", "60/min")]
    ),
    before=st.lists(st.tuples(DELAYS, STALLS), max_size=40),
    after=st.lists(st.tuples(DELAYS, STALLS), max_size=40),
)
def test_another_rate_holds_from_the_next_grant_on(
    units: tuple[str, str], before: list[tuple[float, float]], after: list[tuple[float, float]]
) -> None:
    """Every window in which a request was granted at the new rate holds no more than that, old requests included."""
    old, new = map(parse_rate, units)
    sender = Sender(Pacer(old, now_s=0.0), 0.0)
    for delay_s, stall_s in before:
        sender.now += stall_s
        sender.leave()
        sender.send(delay_s)
    earlier = len(sender.left)
    sender.pacer.set_rate(new)
    for delay_s, stall_s in after:
        sender.now += stall_s
        sender.leave()
        sender.send(delay_s)
    assert sender.pacer.rate == new
    granted_new = sender.left[earlier:]
    for at in sender.left:
        if any(at <= one < at + 1.0 for one in granted_new):
            assert sum(at <= one < at + 1.0 for one in sender.left) <= math.ceil(new.per_s)
    assert_held(granted_new, units[1])


def test_another_rate_spaces_the_very_next_request() -> None:
    """Lower or higher; a request that is still under way counts in the new windows."""
    for rate, spacing_s in (("1/s", 1.0), ("50/s", 0.02)):
        pacer = Pacer(parse_rate("10/s"), now_s=0.0)
        pacer.grant(0.0)
        pacer.sent(0.0)
        pacer.set_rate(parse_rate(rate))
        assert pacer.speed == parse_rate(rate).per_s
        expected = spacing_s / PACE_SHARE
        assert pacer.ready_at(0.0) == pytest.approx(max(expected, 1.0 + WINDOW_SLACK_S if rate == "1/s" else 0.0))
    pacer = Pacer(parse_rate("10/s"), now_s=0.0)
    pacer.grant(0.0)
    pacer.set_rate(parse_rate("60/min"))
    assert pacer.ready_at(100.0) == math.inf
    pacer.sent(100.0)
    assert pacer.ready_at(100.0) == 101.0 + WINDOW_SLACK_S


def test_another_rate_knows_what_left_in_the_longest_window() -> None:
    """From 90 a minute to 60 a minute: what left half a minute ago counts."""
    pacer = Pacer(parse_rate("90/min"), now_s=45.0, history=[index / 2 for index in range(60)])
    pacer.set_rate(parse_rate("60/min"))
    assert pacer.ready_at(45.5) == pytest.approx(60.0 + WINDOW_SLACK_S)


def test_no_speed_is_above_the_rate() -> None:
    pacer = Pacer(parse_rate("10/s"), now_s=0.0)
    pacer.set_speed(1000.0)
    assert pacer.speed == 10.0
    pacer.set_speed(4.0)
    assert pacer.speed == 4.0


def test_hold_until_holds_everything_and_the_longest_hold_stands() -> None:
    """A Retry-After pauses the lane; a shorter one that comes later does not end it."""
    pacer = Pacer(parse_rate("10/s"), now_s=0.0)
    pacer.hold_until(30.0)
    pacer.hold_until(20.0)
    assert pacer.ready_at(0.0) == 30.0
    pacer.hold_until(31.0)
    assert pacer.ready_at(0.0) == 31.0


def test_a_grant_says_when_it_was_given() -> None:
    assert Pacer(parse_rate("1/s"), now_s=0.0).grant(2.5).at_s == 2.5


def test_granting_before_its_time_is_a_bug() -> None:
    """The assertion stays on."""
    pacer = Pacer(parse_rate("1/s"), now_s=0.0)
    pacer.grant(0.0)
    with pytest.raises(AssertionError):
        pacer.grant(0.0)
