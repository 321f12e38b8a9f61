"""Who is next: a lane that fails and a customer with enough under way hold their own rows back, and no others."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from core_rig import row, work

from bulkpatch.core.breaker import OPEN_S, OPENINGS_MAX
from bulkpatch.core.credentials import Credentials
from bulkpatch.core.lanes import Lanes
from bulkpatch.core.line import Line
from bulkpatch.core.queueing import PARKED_MAX
from bulkpatch.core.recipients import Recipients
from bulkpatch.core.work import Work
from bulkpatch.model import PerRecipient, SecretSlot, Stage, Staging, Verdict, VerdictKind

TESTED = (Stage.PRETEST, Stage.PATCH)
WRONG = Verdict(kind=VerdictKind.FINAL, code="BP421", message="the connection test failed", http_status=200)


class Counter:
    """A line with what it stands behind, and what it let through."""

    def __init__(self, *, in_flight: int | None = None, unverified: int | None = None, cap: int | None = None) -> None:
        self.lanes = Lanes()
        self.recipients = Recipients(PerRecipient(in_flight=in_flight, unverified=unverified))
        self.line = Line(self.lanes, self.recipients, Credentials(Staging(stages=TESTED, credential_failures=cap)))

    def next(self, now_s: float = 0.0) -> list[int]:
        """The rows that may go now; each takes its places."""
        return [one.op.row for one in self.go(now_s)]

    def go(self, now_s: float = 0.0) -> list[Work]:
        """The same, as they are."""
        return [*iter(lambda: self.line.next(now_s), None)]

    def leave(self, *works: Work) -> None:
        """They give their places back, and the next of their recipients may go."""
        for one in works:
            self.line.leave(one)
            self.line.make_way(one)

    def spend(self, lane: str) -> None:
        """Open ``lane`` for the last time."""
        while not self.lanes.breaker(lane).spent:
            self.lanes.breaker(lane).open(0.0)
        self.line.drop(lane)


def lane(name: str, numbers: Iterable[int], recipient_id: str | None = None) -> list[Work]:
    """Rows of one lane."""
    return [work(number, lane=name, recipient_id=recipient_id) for number in numbers]


def test_rows_go_in_their_order_and_take_their_places() -> None:
    at = Counter()
    at.line.add(lane("a", [1, 2]) + lane("b", [3]))
    assert len(at.line) == 3
    assert at.next() == [1, 2, 3]
    assert len(at.line) == 0
    at.lanes.breaker("a").open(0.0)
    assert not at.lanes.lets_through("a", OPEN_S)


def test_the_rows_of_a_lane_that_is_open_wait_and_the_others_go() -> None:
    """They are found in their order when it is well again, before those that came later."""
    at = Counter()
    at.line.add(lane("a", [1, 3, 5]) + lane("b", [2, 4]))
    at.lanes.breaker("a").open(0.0)
    assert at.next() == [2, 4]
    assert len(at.line) == 3
    at.lanes.breaker("a").record(OPEN_S, good=True)
    at.line.add(lane("a", [6]))
    (probe,) = at.go(OPEN_S)
    assert probe.op.row == 1
    at.leave(probe)
    for _ in range(3):
        at.lanes.breaker("a").record(OPEN_S, good=True)
    at.line.free("a")
    assert at.next(OPEN_S) == [3, 5, 6]


def test_a_lane_is_probed_before_other_rows_go_one_at_a_time() -> None:
    at = Counter()
    at.line.add(lane("a", [1, 2]) + lane("b", [3, 4]))
    at.lanes.breaker("a").open(0.0)
    third = at.line.next(0.0)
    assert third is not None
    assert third.op.row == 3
    assert at.next(OPEN_S) == [1, 4]


def test_a_lane_without_a_row_that_waits_is_probed_by_the_next_that_comes() -> None:
    at = Counter()
    at.lanes.breaker("a").open(0.0)
    assert at.next(OPEN_S) == []
    at.line.add(lane("a", [1, 2]))
    assert at.next(OPEN_S) == [1]


def test_the_rows_of_a_lane_that_is_held_for_good_are_let_go_of() -> None:
    """Those that waited and those that come; the ledger has them as pending."""
    at = Counter()
    at.line.add(lane("a", [1, 2]) + lane("b", [3]))
    at.lanes.breaker("a").open(0.0)
    assert at.next() == [3]
    at.spend("a")
    at.line.add(lane("a", [4]))
    at.line.retry(lane("a", [5])[0], 1.0)
    assert at.next(2.0) == []
    assert len(at.line) == 0
    assert at.lanes.breaker("a").openings == OPENINGS_MAX


def test_a_retry_waits_for_its_time_and_is_the_next_then() -> None:
    at = Counter()
    at.line.add(lane("a", [1]))
    at.line.retry(lane("a", [2])[0], 5.0)
    assert at.line.wakes_at() == 5.0
    assert at.next(4.9) == [1]
    assert at.next(5.0) == [2]
    assert at.line.wakes_at() == math.inf


def test_a_row_that_is_put_back_is_the_next() -> None:
    at = Counter()
    at.line.add(lane("a", [1, 2]))
    first = at.line.next(0.0)
    assert first is not None
    at.line.leave(first)
    at.line.put_back(first)
    assert at.next() == [1, 2]


# ── recipients ───────────────────────────────────────────────────────────────────────────────────


def test_the_rows_of_a_recipient_with_enough_under_way_wait_and_the_others_go() -> None:
    """One goes for each that leaves, in their order."""
    at = Counter(in_flight=1)
    at.line.add(lane("a", [1, 2, 3], "r") + lane("a", [4], "s") + lane("a", [5, 6]))
    first, *others = at.go()
    assert [one.op.row for one in (first, *others)] == [1, 4, 5, 6]
    assert len(at.line) == 2
    at.leave(first)
    (second,) = at.go()
    assert second.op.row == 2
    at.leave(second)
    assert at.next() == [3]


def test_rows_that_were_begun_by_a_process_before_count_from_the_start() -> None:
    """One in doubt and one to be verified: both may have changed their destinations, so no other of theirs goes."""
    at = Counter(unverified=1)
    begun = [work(1, recipient_id="r", doubted=True), work(2, recipient_id="s", passed=Stage.PATCH)]
    at.line.add([*lane("", [3], "r"), *lane("", [4], "s"), *begun, *lane("", [5], "t")])
    works = at.go()
    assert [one.op.row for one in works] == [1, 2, 5]
    at.leave(*works)
    assert at.next() == []
    for one in begun:
        at.recipients.ended(one)
        at.line.make_way(one)
    assert sorted(at.next()) == [3, 4]


def test_what_was_begun_is_ended_before_others_of_its_recipient_are_begun() -> None:
    """And no row that may not go yet stands in the way of one that may."""
    at = Counter(in_flight=1, unverified=1)
    begun = [work(number, recipient_id="r", doubted=True) for number in (2, 3)]
    at.line.add([*lane("", [1], "r"), *begun])
    for one in begun:
        assert at.go() == [one]
        at.recipients.ended(one)
        at.leave(one)
    assert at.next() == [1]


def test_what_was_begun_goes_before_others_of_its_customer_and_those_keep_their_order() -> None:
    """However often room is made for a row that may not go."""
    at = Counter(in_flight=1, unverified=2)
    at.line.add(lane("a", [1, 2, 3, 4], "r"))
    (first,) = at.go()
    begun = work(5, lane="a", recipient_id="r", passed=Stage.PATCH)
    at.line.add([begun])
    assert at.next() == []
    sent = []
    one = first
    for _ in range(4):
        at.leave(one)
        at.recipients.ended(one)
        (one,) = at.go()
        sent.append(one.op.row)
    assert sent == [5, 2, 3, 4]


def test_a_probe_is_held_to_the_limits_of_its_recipient() -> None:
    """A lane that may be well again is tried with a row whose customer has nothing under way."""
    at = Counter(in_flight=1)
    at.lanes.breaker("b").open(0.0)
    at.line.add(lane("b", [1, 2], "r") + lane("b", [3], "s") + lane("a", [4], "r"))
    (other,) = at.go()
    assert other.op.row == 4
    (probe,) = at.go(OPEN_S)
    assert probe.op.row == 3
    at.leave(probe, other)
    assert at.next(OPEN_S) == [1]


def test_a_row_that_its_lane_holds_back_makes_way_for_others_of_its_recipient() -> None:
    """They wait behind the recipient, not behind the lane."""
    at = Counter(in_flight=1)
    at.lanes.breaker("b").open(0.0)
    at.line.add(lane("a", [1], "r"))
    (first,) = at.go()
    at.line.add(lane("a", [2], "r"))
    assert at.next() == []
    at.leave(first)
    (second,) = at.go()
    at.line.add(lane("b", [3], "r") + lane("a", [4], "r"))
    assert at.next() == []
    at.leave(second)
    assert at.next() == [4]


@pytest.mark.parametrize("late", [False, True])
def test_a_row_that_is_let_go_of_makes_way_for_others_of_its_recipient(*, late: bool) -> None:
    """Whether its lane is held for good before or after it was its turn: nobody waits for it."""
    at = Counter(in_flight=1)
    at.line.add(lane("a", [1], "r"))
    (first,) = at.go()
    at.line.add(lane("b", [2], "r") + lane("a", [3], "r"))
    assert at.next() == []
    if late:
        at.lanes.breaker("b").open(0.0)
    else:
        at.spend("b")
    at.leave(first)
    assert at.next() == [3]
    at.spend("b")
    assert len(at.line) == 0


def test_what_waits_only_for_a_row_that_was_let_go_of_will_not_start() -> None:
    """A changed destination whose lane is held for good is not verified here: its customer's others stay pending."""
    at = Counter(unverified=1)
    begun = work(1, lane="b", recipient_id="r", passed=Stage.PATCH)
    at.lanes.breaker("b").open(0.0)
    at.line.add([begun, *lane("a", [2], "r")])
    assert at.next() == []
    assert not at.line.is_still
    at.spend("b")
    assert at.next(OPEN_S) == []
    assert len(at.line) == 1
    assert at.line.is_still


@pytest.mark.parametrize("why", ["fresh", "retry", "lane"])
def test_what_will_start_by_itself_is_not_still(why: str) -> None:
    at = Counter()
    still = [at.line.is_still]
    (one,) = lane("a", [1])
    if why == "retry":
        at.line.retry(one, 5.0)
    else:
        at.line.add([one])
    if why == "lane":
        at.lanes.breaker("a").open(0.0)
        assert at.next() == []
    still.append(at.line.is_still)
    assert at.next(OPEN_S) == [1]
    assert [*still, at.line.is_still] == [True, False, True]


# ── credentials ──────────────────────────────────────────────────────────────────────────────────


def sharing(secret: str, name: str, numbers: Iterable[int]) -> list[Work]:
    """Rows of one lane that set the same secret, which is tested first."""
    slots = (SecretSlot(path=("password",), source=secret),)
    pairs = [row(number) for number in numbers]
    return [Work(replace(op, secrets=slots), one, attempts=5, stages=TESTED, lane=name) for op, one in pairs]


def test_the_rows_of_a_credential_that_has_not_passed_wait_for_those_under_way() -> None:
    """One goes for each that is settled without a word on the credential; rows without a secret wait for none."""
    at = Counter(cap=1)
    at.line.add(sharing("env:PW", "a", [1, 2, 3]) + lane("a", [4]))
    first, other = at.go()
    assert (first.op.row, other.op.row) == (1, 4)
    at.line.ended(first)
    at.leave(first)
    (second,) = at.go()
    assert second.op.row == 2
    at.leave(second)
    assert at.next() == []
    at.line.ended(second)
    at.line.make_way(second)
    assert at.next() == [3]


def test_a_probe_is_no_row_of_a_credential_that_is_held() -> None:
    """It is let go of, and the next of its lane is the probe."""
    at = Counter(cap=1)
    at.lanes.breaker("b").open(0.0)
    at.line.add(sharing("env:PW", "b", [1, 2]) + lane("b", [3]) + sharing("env:PW", "a", [4]))
    (tested,) = at.go()
    assert tested.op.row == 4
    assert at.line.heard(tested, WRONG) is not None
    at.line.ended(tested)
    at.leave(tested)
    assert at.next(OPEN_S) == [3]
    assert len(at.line) == 0


# ── more rows than fit ───────────────────────────────────────────────────────────────────────────


def test_rows_are_wanted_while_few_wait_for_their_turn() -> None:
    at = Counter()
    at.line.add(lane("a", [1, 2]))
    assert at.line.wants(3)
    assert not at.line.wants(2)
    at.next()
    assert at.line.wants(1)


def test_no_more_are_wanted_once_enough_are_parked_unless_a_lane_is_held() -> None:
    """Then others are looked for, and what does not fit is found again later."""
    at = Counter(in_flight=1)
    at.line.add(lane("a", range(PARKED_MAX), "r"))
    assert at.next() == [0]
    assert at.line.wants(1)
    at.line.add(lane("a", [PARKED_MAX], "r"))
    assert at.next() == []
    assert not at.line.wants(1)
    at.lanes.breaker("b").open(0.0)
    assert at.line.wants(1)


def test_what_was_left_behind_is_asked_for_once_when_nothing_else_waits() -> None:
    at = Counter(in_flight=1)
    at.line.add(lane("a", range(PARKED_MAX + 2), "r"))
    (going,) = at.go()
    assert not at.line.left_behind()
    while len(at.line):
        at.leave(going)
        (going,) = at.go()
    assert at.line.left_behind()
    assert not at.line.left_behind()


def test_what_was_left_behind_is_asked_for_though_its_lane_is_not_well_yet() -> None:
    """A lane whose rows are all in the ledger can be probed with none but those."""
    at = Counter(in_flight=1)
    at.lanes.breaker("b").open(0.0)
    at.line.add(lane("a", range(PARKED_MAX + 1), "r") + lane("b", [PARKED_MAX + 1]))
    (going,) = at.go()
    while len(at.line):
        at.leave(going)
        (going,) = at.go()
    assert at.line.left_behind()
