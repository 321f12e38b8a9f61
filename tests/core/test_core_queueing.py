"""Rows wait in their order, retries in the order they are due, and what may not go is kept or let go of, never lost."""

from __future__ import annotations

import math
from collections.abc import Hashable

from core_rig import work
from hypothesis import given
from hypothesis import strategies as st

from bulkpatch.core.queueing import DROPPED, PARKED_MAX, RETRIES_MAX, Queue
from bulkpatch.core.work import Work


def queue(*numbers: int) -> Queue:
    """Fresh rows."""
    waiting = Queue()
    waiting.add(work(number) for number in numbers)
    return waiting


def free(_: Work) -> Hashable | None:
    """Nothing bars a row."""
    return None


def taken(waiting: Queue, now_s: float = 0.0) -> list[int]:
    """The rows that may go now, in their order."""
    found = []
    while (one := waiting.next(now_s, free)) is not None:
        found.append(one.op.row)
    return found


def test_fresh_rows_go_in_the_order_they_came_but_for_those_put_back() -> None:
    waiting = queue(1, 2, 3)
    waiting.put_back(work(9))
    waiting.add([work(4)])
    assert (len(waiting), waiting.fresh) == (5, 5)
    assert taken(waiting) == [9, 1, 2, 3, 4]
    assert (len(waiting), waiting.fresh) == (0, 0)


def test_retries_go_before_fresh_rows_when_they_are_due_the_earliest_first() -> None:
    """Those due at the same moment go in the order they came."""
    waiting = queue(1)
    assert waiting.wakes_at() == math.inf
    for number, at_s in ((5, 3.0), (6, 2.0), (7, 3.0), (8, 4.0)):
        waiting.retry(work(number), at_s)
    assert (len(waiting), waiting.fresh, waiting.wakes_at()) == (5, 1, 2.0)
    assert taken(waiting, 3.0) == [6, 5, 7, 1]
    assert waiting.wakes_at() == 4.0
    assert taken(waiting, 3.999) == []
    assert taken(waiting, 4.0) == [8]


def test_a_retry_is_due_by_its_time_and_not_by_its_turn() -> None:
    waiting = Queue()
    waiting.retry(work(1), 0.5)
    waiting.retry(work(2), 50.0)
    assert waiting.wakes_at() == 0.5
    assert taken(waiting, 0.5) == [1]
    assert (waiting.wakes_at(), taken(waiting, 49.0)) == (50.0, [])


def test_no_fresh_row_is_begun_while_ten_thousand_wait_for_another_attempt() -> None:
    assert RETRIES_MAX == 10_000
    waiting, late = queue(1), work(2)
    for _ in range(RETRIES_MAX - 1):
        waiting.retry(late, 9.0)
    first = waiting.next(0.0, free)
    assert first is not None
    waiting.put_back(first)
    waiting.retry(late, 9.0)
    assert waiting.next(0.0, free) is None
    assert waiting.next(9.0, free) is late
    assert waiting.next(0.0, free) is first


def test_who_may_not_go_is_parked_under_the_reason_until_it_is_gone() -> None:
    waiting = queue(1, 2, 3, 4, 5)

    def even(one: Work) -> Hashable | None:
        return None if one.op.row % 2 else ("even", 0)

    assert [one.op.row for _ in range(3) if (one := waiting.next(0.0, even))] == [1, 3, 5]
    assert waiting.next(0.0, even) is None
    assert (len(waiting), waiting.fresh) == (2, 0)
    assert [one.op.row for one in waiting.unpark("other")] == []
    assert [one.op.row for one in waiting.unpark(("even", 0), 1)] == [2]
    assert len(waiting) == 1
    assert [one.op.row for one in waiting.unpark(("even", 0))] == [4]
    assert [*waiting.unpark(("even", 0))] == []
    assert len(waiting) == 0


def test_as_many_are_taken_out_as_asked_for_the_first_first() -> None:
    waiting = queue(1, 2, 3, 4)
    assert waiting.next(0.0, lambda _: "held") is None
    assert [one.op.row for one in waiting.unpark("held", 3)] == [1, 2, 3]
    assert len(waiting) == 1


def test_a_dropped_row_is_kept_nowhere() -> None:
    waiting = queue(1, 2)
    assert waiting.next(0.0, lambda one: DROPPED if one.op.row == 1 else None) is not None
    assert len(waiting) == 0
    assert not waiting.left_behind


def test_what_does_not_fit_is_let_go_of_and_remembered_as_left_behind() -> None:
    """It is pending in the ledger, and found again there."""
    assert PARKED_MAX == 5_000
    waiting = queue(*range(PARKED_MAX + 2))

    def one_short(one: Work) -> Hashable | None:
        return None if one.op.row == PARKED_MAX - 1 else "held"

    assert waiting.next(0.0, one_short) is not None
    assert not waiting.is_full
    assert waiting.next(0.0, one_short) is None
    assert (waiting.is_full, waiting.left_behind, len(waiting)) == (True, True, PARKED_MAX)
    assert len([*waiting.unpark("held", 1)]) == 1
    assert not waiting.is_full


def test_a_row_that_changed_its_destination_is_kept_though_nothing_fits_any_more() -> None:
    """Others of its customer may wait for it and for nothing else."""
    waiting = queue(*range(PARKED_MAX))
    assert waiting.next(0.0, lambda _: "held") is None
    waiting.add([work(PARKED_MAX, doubted=True)])
    assert waiting.next(0.0, lambda _: "begun") is None
    assert not waiting.left_behind
    assert [one.op.row for one in waiting.unpark("begun")] == [PARKED_MAX]


def test_a_row_that_came_through_a_stage_is_kept_before_others() -> None:
    """What it was guarded by is still true, and gets no older than it must."""
    waiting = queue(1, 2, 3)
    assert waiting.next(0.0, lambda _: "held") is None
    guarded = work(4)
    guarded.ahead = True
    waiting.park(guarded, "held")
    assert waiting.first_parked("held") is guarded
    assert waiting.first_parked("nothing") is None
    assert [one.op.row for one in waiting.unpark("held")] == [4, 1, 2, 3]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "retry", "park", "next", "unpark"]), st.integers(0, 3)), max_size=80
    )
)
def test_every_row_is_somewhere_until_it_is_taken(steps: list[tuple[str, int]]) -> None:
    """However rows come, wait and go: as many are taken as came, each once."""
    waiting, came, gone = Queue(), 0, list[int]()
    for what, number in steps:
        if what == "add":
            came += 1
            waiting.add([work(came)])
        elif what == "retry":
            came += 1
            waiting.retry(work(came), float(number))
        elif what == "park":
            waiting.next(1.0, lambda _, reason=number: reason)  # type: ignore[misc]
        elif what == "next":
            one = waiting.next(float(number), free)
            gone += [] if one is None else [one.op.row]
        else:
            gone += [one.op.row for one in waiting.unpark(number, 2)]
        assert len(waiting) == came - len(gone)
    for reason in range(4):
        gone += [one.op.row for one in waiting.unpark(reason)]
    gone += taken(waiting, 9.0)
    assert sorted(gone) == list(range(1, came + 1))
