"""A row's life has the arrows of the drawn table and no others, and its end gives the run's exit code."""

from __future__ import annotations

from itertools import product

import pytest

from bulkpatch.core.lifecycle import DONE, FAILED, NOT_TRIED, OPEN, SETTLED, TRANSITIONS, exit_code, may_become
from bulkpatch.errors import ExitCode
from bulkpatch.model import RowState

ARROWS = {
    "pending": "in_flight planned noop skipped rejected exhausted unknown",
    "in_flight": "pending accepted verified unverified rejected skipped exhausted unknown",
    "unknown": "accepted exhausted",
}
"""The contract's drawing, written down a second time."""


@pytest.mark.parametrize(("before", "after"), list(product(RowState, RowState)))
def test_a_state_changes_only_along_a_drawn_arrow(before: RowState, after: RowState) -> None:
    assert may_become(before, after) is (after in ARROWS.get(before, "").split())


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[RowState.ACCEPTED] = frozenset()  # type: ignore[index]


def test_every_state_counts_as_exactly_one_of_open_done_and_failed() -> None:
    assert sorted([*OPEN, *DONE, *FAILED]) == sorted(RowState)
    assert {"planned", "accepted", "verified", "noop"} == DONE
    assert {"pending", "in_flight"} == OPEN


def test_an_outcome_is_any_done_or_failed_state_but_not_attempted() -> None:
    """The report alone says ``not_attempted``; the ledger keeps the row pending."""
    assert set(SETTLED) == set(RowState) - {"pending", "in_flight", "not_attempted"}
    assert set(SETTLED) == set(" ".join(ARROWS.values()).split()) - {"pending", "in_flight"}


def test_guards_count_no_row_that_nothing_was_asked_of() -> None:
    assert {"pending", "in_flight", "planned", "noop", "skipped", "not_attempted"} == NOT_TRIED


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ("", ExitCode.DONE),
        ("planned", ExitCode.DONE),
        ("accepted", ExitCode.DONE),
        ("verified noop accepted", ExitCode.DONE),
        ("unverified", ExitCode.ROWS_FAILED),
        ("accepted rejected", ExitCode.ROWS_FAILED),
        ("exhausted", ExitCode.ROWS_FAILED),
        ("skipped", ExitCode.ROWS_FAILED),
        ("not_attempted", ExitCode.ROWS_FAILED),
        ("unknown", ExitCode.UNKNOWN_ROWS),
        ("accepted unknown", ExitCode.UNKNOWN_ROWS),
        ("rejected unknown exhausted", ExitCode.UNKNOWN_ROWS),
    ],
)
def test_unknown_rows_win_over_failed_ones_and_those_over_done(states: str, code: ExitCode) -> None:
    """Exit 7 before 1 before 0; a state that is listed with no rows counts for nothing."""
    counts = dict.fromkeys(RowState, 0) | {RowState(state): 1 for state in states.split()}
    assert exit_code(counts) is code
    assert exit_code({state: number for state, number in counts.items() if number}) is code
