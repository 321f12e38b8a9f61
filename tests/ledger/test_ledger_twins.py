"""Whatever a run may do to its ledger, the one on SQLite and its twin in memory answer alike."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rig import (
    MemoryShelf,
    SqliteShelf,
    act,
    header,
    intent,
    lost,
    outcome,
    passed,
    resolved,
    seed,
    setback,
    settlement,
    sight,
    throttled,
    withdrawn,
)

from bulkpatch.errors import Broken
from bulkpatch.model import Act, Intent, Outcome, Passed, Record, RowState, SeedRow, Setback, Sight, Stage
from bulkpatch.ports import Ledger

Step: TypeAlias = tuple[int, int, int] | str
"""Which row, which of the moves it may make, when; or something that is done to the ledger."""

MOVES = 9
ROWS_MAX = 6
STAGES = (Stage.EXPECT, Stage.PRETEST, Stage.PATCH, Stage.VERIFY)


class Run:
    """Records in a legal order: each row goes pending → in flight → pending or settled, from stage to stage."""

    def __init__(self, leads: Sequence[int]) -> None:
        self._leads = leads
        self._attempts = dict.fromkeys(leads, 0)
        self._stages = {row: 2 * (row % 2) for row in leads}
        self._open = dict.fromkeys(leads, False)
        self._ended: dict[int, RowState] = {}

    def move(self, nth: int, which: int, at_us: int) -> Record | None:
        """The move number ``which`` of the ``nth`` row; None if it is settled for good."""
        row = self._leads[nth % len(self._leads)]
        if row in self._ended:
            return self._find_out(row, which, at_us)
        record = self._answer(row, which, at_us) if self._open[row] else self._start(row, which, at_us)
        match record:
            case Intent():
                self._open[row] = True
            case Setback():
                self._open[row] = False
            case Passed():
                self._open[row] = False
                self._stages[row] += 1
            case Outcome():
                self._ended[row] = record.state
        return record

    def waves(self, at: int) -> Sequence[tuple[int, int]]:
        """Some of the rows, put elsewhere."""
        return [(row, 1 + (row + at) % 3) for row in self._leads[at % 2 :: 2]]

    def _start(self, row: int, which: int, at_us: int) -> Record:
        if which == 0:
            return outcome(row, RowState.NOOP, self._attempts[row], at_us=at_us, http_status=None, latency_us=None)
        if which == 1 and not self._attempts[row]:
            return sight(row, at_us=at_us, found=(None, True, False)[at_us % 3], vendor=str(at_us), before=b"{}")
        self._attempts[row] += 1
        stage = STAGES[self._stages[row]]
        return intent(row, self._attempts[row], stage, at_us=at_us, at_s=(at_us * 7 + row) % 5 / 4)

    def _answer(self, row: int, which: int, at_us: int) -> Record:
        attempt, stage = self._attempts[row], STAGES[self._stages[row]]
        unknown = outcome(row, RowState.UNKNOWN, attempt, http_status=None, latency_us=None, code="BP411", error="ü")
        done = outcome(row, RowState.ACCEPTED, attempt, at_us=at_us, facts=b"1" if at_us else None)
        return (
            setback(row, attempt, stage=stage, http_status=500, latency_us=at_us, maybe_applied=True),
            setback(row, attempt, stage=stage, wait_us=at_us),
            setback(row, attempt, stage=stage, counted=False, wait_us=at_us),
            replace(throttled(row, attempt), stage=stage),
            replace(withdrawn(row, attempt), stage=stage),
            replace(lost(row, attempt), stage=stage),
            passed(row, attempt, stage, facts=b"2" if at_us else None) if stage is not Stage.VERIFY else done,
            replace(done, stage=stage),
            replace(unknown, stage=stage),
        )[which]

    def _find_out(self, row: int, which: int, at_us: int) -> Record | None:
        if self._ended[row] is not RowState.UNKNOWN:
            return None
        self._ended[row] = (RowState.ACCEPTED, RowState.REJECTED)[which % 2]
        return settlement(row, self._ended[row], at_us=at_us, facts=b"3" if at_us else None)


def everything(book: Ledger, ids: Sequence[str]) -> Mapping[str, str]:
    """The answer to every question, in words, so that a type tells as well as a value."""
    return {
        "header": repr(book.header()),
        "pending": repr([list(book.pending_between(first, first + 4)) for first in range(0, 20, 3)]),
        "counts": repr(sorted(book.counts().items())),
        "sends": repr([list(book.recent_sends(since, since + 1.0)) for since in (0, 2)]),
        "unanswered": repr(list(book.unanswered())),
        "acts": repr(list(book.acts())),
        "outcomes": repr([list(rows) for rows in book.outcome_rows(3)]),
        "numbers": repr([list(book.row_numbers({state})) for state in RowState]),
        "sights": repr([sorted(book.sights_between(first, first + 4).items()) for first in range(0, 20, 3)]),
        "waves": repr(sorted((wave, sorted(states.items())) for wave, states in book.wave_counts().items())),
        "of a wave": repr([list(book.pending_between(0, 20, wave=wave)) for wave in range(4)]),
        "credentials": repr([list(rows) for rows in book.credential_rows(3)]),
        "traffic": repr([list(book.beats(width)) for width in (1, 2, 3)]),
        "hitches": repr(list(book.hitches())),
        "stories": repr([[(row, list(events)) for row, events in book.story(name)] for name in ids]),
    }


@st.composite
def seeded(draw: st.DrawFn) -> list[SeedRow]:
    """Some rows with gaps between their numbers, some of which follow an earlier one."""
    rows: list[SeedRow] = []
    number = 0
    for gap, follows in draw(
        st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3)), min_size=1, max_size=ROWS_MAX), label="rows"
    ):
        number += gap
        leads = [row for row in rows if row.lead is None]
        if leads and follows == 0:
            lead = leads[-1]
            same = {"destination_id": lead.destination_id, "credential": lead.credential}
            rows.append(seed(number, lead=lead.row, labels=("Größe", None), **same))
        else:
            rows.append(seed(number, wave=gap, labels=(str(number),), credential=(None, "env:Ä")[number % 2]))
    return rows


STEPS = st.lists(
    st.tuples(st.integers(0, ROWS_MAX - 1), st.integers(0, MOVES - 1), st.integers(0, 3))
    | st.sampled_from(["act", "commit", "reopen", "waves"]),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(rows=seeded(), steps=STEPS, again=st.integers(0, 30))
def test_both_ledgers_answer_alike(rows: list[SeedRow], steps: list[Step], again: int) -> None:
    """After every commit and every reopening, and after a batch that repeats a record was refused."""
    ids = sorted({row.destination_id for row in rows})
    run = Run([row.row for row in rows if row.lead is None])
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(SqliteShelf(Path(folder))) as on_disk,
        closing(MemoryShelf()) as in_memory,
    ):
        shelves = (on_disk, in_memory)
        books = [shelf.seed(header(), [rows[:2], rows[2:]]) for shelf in shelves]
        kept: list[Record] = []
        batch: list[Record] = []
        for step in [*steps, "commit"]:
            if isinstance(step, tuple):
                moved = run.move(*step)
                batch += [moved] if moved is not None else []
                if isinstance(moved, Intent):
                    batch.append(resolved(moved.row, moved.attempt, version=str(step[2])))
                continue
            if step == "act":
                batch.append(act(f"act {len(kept) + len(batch)}", at_us=len(batch)))
                continue
            if step == "reopen":
                books = [shelf.reopen() for shelf in shelves]
            elif step == "waves":
                for book in books:
                    book.assign_waves(run.waves(len(kept)))
            else:
                for book in books:
                    book.commit(batch)
                kept, batch = kept + batch, []
            first, second = (everything(book, ids) for book in books)
            assert first == second
        once = [record for record in kept if not isinstance(record, Act | Sight)]
        for book in books[: 2 * bool(once)]:
            with pytest.raises(Broken):
                book.commit([act("never"), once[again % len(once)]])
        assert [everything(shelf.reopen(), ids) for shelf in shelves] == [first, first]
