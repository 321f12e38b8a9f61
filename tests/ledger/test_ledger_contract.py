"""What every ledger promises: the one on SQLite and its twin in memory pass this one suite."""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from ledger_rig import (
    LEDGERS,
    MemoryShelf,
    Shelf,
    SqliteShelf,
    act,
    header,
    intent,
    lost,
    outcome,
    passed,
    resolved,
    seed,
    seeds,
    setback,
    settlement,
    sight,
    throttled,
    withdrawn,
)

from bulkpatch.core.lifecycle import SETTLED
from bulkpatch.errors import Broken, ExitCode, LedgerFailed
from bulkpatch.model import InputFile, OutcomeRow, PendingRow, Record, RowState, Stage
from bulkpatch.ports import Ledger

S = RowState
READS: Sequence[Callable[[Ledger], object]] = (
    lambda book: book.pending_between(1, 20),
    lambda book: book.counts(),
    lambda book: book.recent_sends(0, math.inf),
    lambda book: book.unanswered(),
    lambda book: book.acts(),
    lambda book: list(book.outcome_rows()),
    lambda book: list(book.row_numbers({S.ACCEPTED})),
    lambda book: book.story("d1"),
    lambda book: book.sights_between(1, 20),
    lambda book: book.wave_counts(),
    lambda book: list(book.credential_rows()),
    lambda book: book.beats(1),
    lambda book: book.hitches(),
)
READ_NAMES = (
    "pending_between",
    "counts",
    "recent_sends",
    "unanswered",
    "acts",
    "outcome_rows",
    "row_numbers",
    "story",
    "sights",
    "waves",
    "credential_rows",
    "beats",
    "hitches",
)


@pytest.fixture(params=LEDGERS)
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    """A place for the ledger under test."""
    with closing(SqliteShelf(tmp_path) if request.param == "sqlite" else MemoryShelf()) as made:
        yield made


@pytest.fixture
def book(shelf: Shelf) -> Ledger:
    """Twenty rows; 10 follows 9 and 20 follows 19."""
    return shelf.seed(header(), seeds(20))


def rows_of(book: Ledger) -> dict[int, OutcomeRow]:
    """The report's view, by row, each of which stands there once."""
    found = [row for batch in book.outcome_rows() for row in batch]
    assert len({row.row for row in found}) == len(found)
    return {row.row: row for row in found}


def pending_of(book: Ledger, row: int) -> PendingRow:
    """What is known of one row that is not settled."""
    (found,) = book.pending_between(row, row)
    return found


# ── what it was seeded with ──────────────────────────────────────────────────────────────────


def test_the_header_comes_back_with_the_rows_counted(shelf: Shelf) -> None:
    """Whatever number was announced, the header says how many rows were seeded; nothing else of it moves."""
    inputs = (
        InputFile(path="/in/ü.csv", size=2**40, mtime_ns=1_764_000_000_123_456_789, sha256="ab"),
        InputFile(path="b.csv", size=0, mtime_ns=0, sha256=""),
    )
    said = header(
        rows=999, inputs=inputs, label_names=("customer", "größe"), dry_run=True, simulated=True, parent="j-0"
    )
    book = shelf.seed(said, [[seed(1)], [], [seed(2), seed(3)]])
    assert book.header() == replace(said, rows=3)
    assert shelf.reopen().header() == replace(said, rows=3)


def test_a_fresh_ledger_knows_its_rows_and_nothing_else(book: Ledger) -> None:
    assert book.counts() == {S.PENDING: 20}
    assert book.pending_between(1, 2) == [
        PendingRow(row=1, destination_id="d1", digest=b"x" * 32),
        PendingRow(row=2, destination_id="d2", digest=b"x" * 32),
    ]
    assert (list(book.acts()), list(book.recent_sends(0, math.inf))) == ([], [])
    assert list(book.story("d1")) == [(1, [])]
    assert rows_of(book)[1] == OutcomeRow(
        row=1,
        destination_id="d1",
        state="pending",
        stage="patch",
        wave=1,
        attempts=0,
        http_status=None,
        code=None,
        error=None,
        fields='["name"]',
        sent_at_us=None,
        finished_at_us=None,
        latency_us=None,
        facts=None,
        labels="[]",
    )


def test_a_run_without_rows_is_a_run(shelf: Shelf) -> None:
    book = shelf.seed(header(rows=5), [])
    assert book.header().rows == 0
    assert (dict(book.counts()), list(book.outcome_rows()), list(book.pending_between(1, 9))) == ({}, [], [])


def test_row_numbers_may_have_gaps_and_come_in_any_order(shelf: Shelf) -> None:
    """A retry keeps the numbers that its rows had; every answer ascends by them."""
    book = shelf.seed(header(), [[seed(20), seed(7)], [seed(3, lead=None), seed(1_000_000_007)]])
    assert book.header().rows == 4
    assert [row.row for row in book.pending_between(1, 20)] == [3, 7, 20]
    assert [row.row for row in book.pending_between(4, 19)] == [7]
    assert [row.row for row in book.pending_between(8, 19)] == []
    assert list(rows_of(book)) == [3, 7, 20, 1_000_000_007]
    assert list(book.row_numbers({S.NOT_ATTEMPTED})) == [3, 7, 20, 1_000_000_007]


def test_a_row_number_stands_once(shelf: Shelf) -> None:
    with pytest.raises(Broken) as refused:
        shelf.seed(header(), [[seed(1)], [seed(2), seed(1)]])
    assert refused.value.code == "BP901"


def test_the_bounds_of_pending_rows_are_inclusive(book: Ledger) -> None:
    assert [row.row for row in book.pending_between(3, 5)] == [3, 4, 5]
    assert [row.row for row in book.pending_between(5, 3)] == []
    assert [row.row for row in book.pending_between(0, 1)] == [1]
    assert [row.row for row in book.pending_between(18, 99)] == [18, 19]


def test_labels_and_fields_come_back_as_they_were(shelf: Shelf) -> None:
    """None is JSON null and no empty text; quotes, line ends, NUL and all of Unicode survive."""
    labels = (None, "", "null", 'Çelik "& Söhne"', "a\nb\r\t\\", "\x00", "𝄞\u2028\U0010ffff")
    fields = ("postgres.password_auth.password", "größe", 'a"b')
    book = shelf.seed(header(), [[seed(1, labels=labels, fields=fields, wave=3), seed(2, fields=())]])
    shown = rows_of(book)
    assert tuple(json.loads(shown[1].labels)) == labels
    assert tuple(json.loads(shown[1].fields)) == fields
    assert shown[1].wave == 3
    assert (shown[2].labels, shown[2].fields) == ("[]", "[]")


def test_a_digest_is_any_bytes(shelf: Shelf) -> None:
    digest = bytes(range(256))
    book = shelf.seed(header(), [[seed(1, digest=digest)]])
    assert pending_of(book, 1).digest == digest


# ── what the attempts of a row came to ───────────────────────────────────────────────────────


@pytest.mark.proves("G2")
def test_an_intent_without_an_answer_is_in_flight(shelf: Shelf) -> None:
    """And stays so when the process dies: the next one finds it open, and its record of the loss settles the doubt."""
    book = shelf.seed(header(), seeds(20))
    book.commit([intent(1)])
    for _ in range(2):
        assert book.counts() == {S.IN_FLIGHT: 1, S.PENDING: 19}
        known, shown = pending_of(book, 1), rows_of(book)[1]
        assert (known.attempt, known.tried, known.open, known.doubted) == (1, 0, True, False)
        assert (shown.state, shown.attempts, shown.sent_at_us, shown.finished_at_us) == ("in_flight", 1, 10, None)
        book = shelf.reopen()
    book.commit([lost(1)])
    known = pending_of(book, 1)
    assert (known.attempt, known.tried, known.open, known.doubted) == (1, 1, False, True)
    assert book.counts() == {S.PENDING: 20}


def test_a_withdrawn_attempt_never_left(book: Ledger) -> None:
    """It takes a number and nothing else: no try, no doubt, no send, no error."""
    book.commit([intent(1), withdrawn(1)])
    known = pending_of(book, 1)
    assert (known.attempt, known.tried, known.throttled) == (1, 0, 0)
    assert (known.doubted, known.open) == (False, False)
    shown = rows_of(book)[1]
    assert (shown.state, shown.attempts, shown.sent_at_us, shown.code, shown.error) == ("pending", 0, None, None, None)
    assert (list(book.recent_sends(0, math.inf)), dict(book.counts())) == ([], {S.PENDING: 20})


@pytest.mark.parametrize(
    ("one", "tried", "waits"),
    [
        (setback(1, wait_us=5), 1, 0),
        (setback(1), 1, 0),
        (throttled(1), 0, 1),
        (setback(1, counted=False), 0, 0),
        (setback(1, counted=False, wait_us=5), 0, 0),
        (withdrawn(1), 0, 0),
        (replace(withdrawn(1), wait_us=5), 0, 0),
    ],
    ids=["counted", "counted, no wait", "throttled", "halted", "a probe", "withdrawn", "withdrawn with a wait"],
)
def test_a_setback_is_a_try_or_a_wait_or_neither(book: Ledger, one: Record, tried: int, waits: int) -> None:
    """What counts uses up an attempt; what does not, and waits, is throttled; a halt or a withdrawal is neither."""
    book.commit([intent(1), one])
    known = pending_of(book, 1)
    assert (known.tried, known.throttled) == (tried, waits)


def test_tries_and_waits_add_up(book: Ledger) -> None:
    book.commit([intent(1), setback(1), intent(1, 2), throttled(1, 2), intent(1, 3), throttled(1, 3)])
    book.commit([intent(1, 4), withdrawn(1, 4), intent(1, 5), setback(1, 5), intent(1, 6)])
    known = pending_of(book, 1)
    assert (known.attempt, known.tried, known.throttled, known.open) == (6, 2, 2, True)
    assert rows_of(book)[1].attempts == 5


def test_a_doubt_once_raised_stays(book: Ledger) -> None:
    book.commit([intent(1), setback(1, maybe_applied=True), intent(1, 2), throttled(1, 2)])
    book.commit([intent(2), setback(2)])
    assert (pending_of(book, 1).doubted, pending_of(book, 2).doubted) == (True, False)


def test_only_a_patch_raises_a_doubt(book: Ledger) -> None:
    """A question without an answer changed nothing, whatever else it was."""
    stages = (Stage.EXPECT, Stage.PRETEST, Stage.VERIFY)
    for attempt, stage in enumerate(stages, start=1):
        book.commit([intent(1, attempt, stage), setback(1, attempt, stage=stage, maybe_applied=True)])
    assert not pending_of(book, 1).doubted
    book.commit([intent(1, 4), setback(1, 4, maybe_applied=True)])
    assert pending_of(book, 1).doubted


@pytest.mark.proves("G4")
def test_a_settled_row_is_pending_no_more(book: Ledger) -> None:
    book.commit([intent(1), outcome(1), outcome(2, S.NOOP, attempt=0)])
    assert [row.row for row in book.pending_between(1, 3)] == [3]


def test_what_a_setback_says_shows_until_the_row_is_settled(book: Ledger) -> None:
    """The last one that left counts, also while the next attempt is in flight."""
    book.commit([intent(1), setback(1, http_status=500, latency_us=7), intent(1, 2), throttled(1, 2)])
    book.commit([intent(1, 3), withdrawn(1, 3)])
    shown = rows_of(book)[1]
    assert (shown.state, shown.code, shown.error, shown.http_status) == ("pending", "BP406", "429", 429)
    assert (shown.latency_us, shown.finished_at_us, shown.sent_at_us, shown.attempts) == (None, None, 10, 2)
    book.commit([intent(1, 4)])
    assert rows_of(book)[1].state == "in_flight"
    assert rows_of(book)[1].code == "BP406"


def test_an_outcome_alone_speaks_for_its_row(book: Ledger) -> None:
    """Nothing of an earlier setback shines through where the outcome says nothing."""
    facts = b'{"name":"\xc3\xbc"}\x00'
    book.commit([intent(1), setback(1, http_status=500, latency_us=7), intent(1, 2, at_us=5)])
    book.commit([outcome(1, attempt=2, at_us=77, stage=Stage.VERIFY, latency_us=3, facts=facts)])
    book.commit([intent(2), setback(2, http_status=500, latency_us=7)])
    book.commit([outcome(2, S.UNKNOWN, http_status=None, latency_us=None, code="BP417", error="no body")])
    first, second = rows_of(book)[1], rows_of(book)[2]
    assert (first.state, first.stage, first.http_status) == ("accepted", "verify", 200)
    assert (first.code, first.error) == (None, None)
    assert (first.sent_at_us, first.finished_at_us, first.latency_us, first.attempts) == (5, 77, 3, 2)
    assert first.facts == facts
    assert (second.state, second.http_status, second.latency_us) == ("unknown", None, None)
    assert (second.code, second.error, second.attempts) == ("BP417", "no body", 1)


def test_the_first_send_is_the_first_that_left(book: Ledger) -> None:
    book.commit([intent(1, at_us=10), withdrawn(1), intent(1, 2, at_us=20), setback(1, 2), intent(1, 3, at_us=30)])
    assert rows_of(book)[1].sent_at_us == 20


def test_every_state_of_an_outcome_is_counted_and_named(shelf: Shelf) -> None:
    states = sorted(SETTLED)
    book = shelf.seed(header(), [[seed(row) for row in range(1, 21)]])
    book.commit([outcome(row, state) for row, state in enumerate(states, start=1)])
    assert book.counts() == {**dict.fromkeys(states, 1), S.PENDING: 20 - len(states)}
    for row, state in enumerate(states, start=1):
        assert list(book.row_numbers({state})) == [row]
        assert rows_of(book)[row].state == state.value


def test_row_numbers_ask_for_outcomes_or_for_none(book: Ledger) -> None:
    """``not_attempted`` is a row without outcome, in flight or not; open states are no outcomes."""
    book.commit([intent(1), outcome(1), intent(2), outcome(2, S.REJECTED), intent(3)])
    assert list(book.row_numbers({S.ACCEPTED, S.REJECTED})) == [1, 2]
    assert list(book.row_numbers({S.NOT_ATTEMPTED})) == list(range(3, 21))
    assert list(book.row_numbers({S.REJECTED, S.NOT_ATTEMPTED})) == list(range(2, 21))
    assert list(book.row_numbers({S.PENDING, S.IN_FLIGHT})) == []
    assert list(book.row_numbers(frozenset())) == []


# ── stages ───────────────────────────────────────────────────────────────────────────────────


def test_a_stage_that_was_passed_answers_its_attempt(book: Ledger) -> None:
    """The row is pending again, and it is known how far it came; while it asks, the stage of the question is known."""
    book.commit([intent(1, 1, Stage.EXPECT)])
    known = pending_of(book, 1)
    assert (known.open, known.open_stage, known.passed) == (True, Stage.EXPECT, None)
    book.commit([passed(1, 1, Stage.EXPECT)])
    known = pending_of(book, 1)
    assert (known.attempt, known.open, known.open_stage, known.passed) == (1, False, None, Stage.EXPECT)
    assert (book.counts(), rows_of(book)[1].state, rows_of(book)[1].attempts) == ({S.PENDING: 20}, "pending", 1)
    book.commit([intent(1, 2), passed(1, 2), intent(1, 3, Stage.VERIFY)])
    known = pending_of(book, 1)
    assert (known.attempt, known.open_stage, known.passed) == (3, Stage.VERIFY, Stage.PATCH)
    assert book.counts() == {S.IN_FLIGHT: 1, S.PENDING: 19}
    assert [type(known.open_stage), type(known.passed)] == [Stage, Stage]
    book.commit([outcome(1, S.VERIFIED, attempt=3, stage=Stage.VERIFY)])
    assert (rows_of(book)[1].state, rows_of(book)[1].stage, rows_of(book)[1].attempts) == ("verified", "verify", 3)
    assert [one and one[0] for one in book.recent_sends(0, math.inf)] == [11, 21, 99]


def test_tries_are_those_of_the_stage_that_comes_next(book: Ledger) -> None:
    """Those of the patch until it passed, then those of the verification; a doubt is kept from either."""
    verify = {"stage": Stage.VERIFY}
    book.commit([intent(1), setback(1, maybe_applied=True), intent(1, 2), throttled(1, 2), intent(1, 3), setback(1, 3)])
    book.commit([intent(2, 1, Stage.EXPECT), passed(2, 1, Stage.EXPECT), intent(2, 2), setback(2, 2)])
    assert (pending_of(book, 2).tried, pending_of(book, 2).throttled) == (1, 0)
    assert (pending_of(book, 1).tried, pending_of(book, 1).throttled) == (2, 1)
    book.commit([intent(1, 4), passed(1, 4)])
    assert (pending_of(book, 1).tried, pending_of(book, 1).throttled) == (0, 0)
    book.commit([intent(1, 5, Stage.VERIFY), setback(1, 5, **verify)])
    book.commit([intent(1, 6, Stage.VERIFY), setback(1, 6, code="BP406", counted=False, wait_us=1, **verify)])
    known = pending_of(book, 1)
    assert (known.tried, known.throttled, known.doubted) == (1, 1, True)


def test_the_reply_to_the_patch_speaks_until_a_later_one_does(book: Ledger) -> None:
    """Only the patch's own, and the last that said anything."""
    book.commit([intent(1, 1, Stage.PRETEST), passed(1, 1, Stage.PRETEST, facts=b"test")])
    assert rows_of(book)[1].facts is None
    book.commit([intent(1, 2), passed(1, 2, facts=b"first"), intent(1, 3), passed(1, 3, facts=b"second")])
    book.commit([intent(1, 4), passed(1, 4)])
    assert rows_of(book)[1].facts == b"second"
    book.commit([outcome(1, S.UNKNOWN, attempt=4)])
    assert rows_of(book)[1].facts == b"second"
    book.commit([settlement(1, S.ACCEPTED, facts=b"later")])
    assert rows_of(book)[1].facts == b"later"
    book.commit([outcome(2, S.UNKNOWN, facts=b"reply"), outcome(3, S.UNKNOWN, facts=b"reply")])
    book.commit([settlement(2, facts=b"later"), settlement(3)])
    assert [rows_of(book)[row].facts for row in (2, 3)] == [b"later", b"reply"]


# ── what was seen before, and found out later ────────────────────────────────────────────────


def test_what_was_seen_last_of_a_row_counts(shelf: Shelf) -> None:
    """A survey that broke off is made again; every detail, and that nothing could be told, comes back."""
    whole = sight(
        2, found=True, vendor="größe", recipient_id="r", updated_at="2026-11-24", digest=b"\x00\xff", before=b"{}"
    )
    book = shelf.seed(header(), seeds(20))
    book.commit([sight(2, vendor="old", recipient_id="old"), sight(5, found=False), sight(9, found=None)])
    book.commit([sight(2, vendor="older"), whole])
    for _ in range(2):
        assert repr(dict(book.sights_between(1, 5))) == repr({2: whole, 5: sight(5, found=False)})
        assert book.sights_between(9, 9)[9].found is None
        assert [dict(book.sights_between(*bounds)) for bounds in ((3, 4), (6, 8), (5, 3))] == [{}, {}, {}]
        known = pending_of(book, 2)
        assert (known.vendor, known.recipient_id, known.updated_at) == ("größe", "r", "2026-11-24")
        assert known.live_digest == b"\x00\xff"
        assert book.counts() == {S.PENDING: 20}
        book = shelf.reopen()


def test_what_was_settled_later_is_where_a_row_stands(book: Ledger) -> None:
    """In every count and report; the attempts, and what was measured of them, stay as they were."""
    book.commit([intent(9), outcome(9, S.UNKNOWN, http_status=502, code="BP411", error="bad gateway")])
    book.commit([intent(1), outcome(1, S.UNKNOWN), outcome(2, S.UNKNOWN, code="BP411", error="bad gateway")])
    before = rows_of(book)
    book.commit([settlement(9, S.REJECTED, error="it was not applied"), settlement(2)])
    assert book.counts() == {S.PENDING: 16, S.UNKNOWN: 1, S.REJECTED: 2, S.ACCEPTED: 1}
    assert [list(book.row_numbers({state})) for state in (S.UNKNOWN, S.REJECTED)] == [[1], [9, 10]]
    assert (rows_of(book)[2].code, rows_of(book)[2].error) == ("BP420", None)
    for row in (9, 10):
        assert rows_of(book)[row] == before[row]._replace(
            state="rejected", code="BP420", error="it was not applied", finished_at_us=500
        )
    assert rows_of(book)[1] == before[1]


def test_a_story_begins_with_what_was_seen_and_ends_with_what_was_found_out(book: Ledger) -> None:
    told: list[Record] = [
        sight(9, at_us=900, found=None, before=b"[]"),
        intent(9, 1, Stage.PRETEST),
        passed(9, 1, Stage.PRETEST, code="BP420", facts=b"f"),
        intent(9, 2),
        setback(9, 2),
        intent(9, 3),
        outcome(9, S.UNKNOWN, attempt=3),
        settlement(9, at_us=3, error="ü", facts=b"{}"),
    ]
    book.commit(told)
    for _, events in book.story("d9"):
        assert [repr(event) for event in events] == [repr(record) for record in told]


# ── waves ────────────────────────────────────────────────────────────────────────────────────


def test_a_wave_holds_the_rows_that_were_put_into_it(shelf: Shelf) -> None:
    """Each row can be put elsewhere; the others stay; a number that is no row's is nobody's."""
    book = shelf.seed(header(), [[seed(row) for row in range(1, 7)]])
    book.assign_waves([(1, 2), (2, 2), (3, 3), (77, 9)])
    book.assign_waves(iter([(2, 3)]))
    for _ in range(2):
        assert [row.row for row in book.pending_between(1, 9, wave=2)] == [1]
        assert [row.row for row in book.pending_between(1, 9, wave=3)] == [2, 3]
        assert [row.row for row in book.pending_between(3, 5, wave=1)] == [4, 5]
        assert list(book.pending_between(1, 9, wave=9)) == []
        assert [(row.row, row.wave) for row in book.pending_between(1, 4)] == [(1, 2), (2, 3), (3, 3), (4, 1)]
        assert [rows_of(book)[row].wave for row in range(1, 7)] == [2, 3, 3, 1, 1, 1]
        assert book.wave_counts() == {1: {S.PENDING: 3}, 2: {S.PENDING: 1}, 3: {S.PENDING: 2}}
        book = shelf.reopen()


def test_followers_go_with_their_lead(shelf: Shelf) -> None:
    """Whatever was said of themselves, and whether their lead was moved or not."""
    rows = [seed(1), seed(2, lead=1, wave=5), seed(3), seed(4, lead=3, wave=6)]
    book = shelf.seed(header(), [rows])
    book.assign_waves([(1, 2), (2, 7)])
    assert [rows_of(book)[row].wave for row in range(1, 5)] == [2, 2, 1, 1]
    assert [(row.row, row.wave) for row in book.pending_between(1, 9)] == [(1, 2), (3, 1)]


def test_a_wave_counts_the_rows_that_have_a_request_of_their_own(book: Ledger) -> None:
    """By how they ended: what was found out later does not open a gate that was judged before."""
    book.assign_waves([(row, 1 + row // 8) for row in range(1, 21)])
    book.commit([intent(9), outcome(9), intent(1), intent(2), passed(2), intent(3), outcome(3, S.UNKNOWN)])
    book.commit([settlement(3)])
    assert book.wave_counts() == {
        1: {S.IN_FLIGHT: 1, S.UNKNOWN: 1, S.PENDING: 5},
        2: {S.ACCEPTED: 1, S.PENDING: 6},
        3: {S.PENDING: 4},
    }


def test_counts_are_as_of_the_last_commit(book: Ledger) -> None:
    """Asked twice in between as well; without waves, too, what was found out later is not the wave's matter."""
    wave = dict(book.wave_counts()[1])
    for records, state in (([intent(3)], S.IN_FLIGHT), ([outcome(3, S.UNKNOWN)], S.UNKNOWN)):
        book.commit(records)
        assert [book.counts()[state], book.counts()[state], book.wave_counts()[1][state]] == [1, 1, 1]
    found = settlement(3)
    book.commit([found])
    assert (book.counts()[found.state], S.UNKNOWN in book.counts()) == (1, False)
    assert book.wave_counts() == {1: {**wave, S.PENDING: wave[S.PENDING] - 1, S.UNKNOWN: 1}}


class Torn(Exception):
    """What came broke off."""


def test_waves_are_assigned_all_or_none(shelf: Shelf) -> None:
    """If what is to be assigned breaks off, nothing of it is kept, and the ledger is used no more."""

    def broken() -> Iterator[tuple[int, int]]:
        yield 1, 2
        raise Torn

    book = shelf.seed(header(), seeds(20))
    with pytest.raises(Torn):
        book.assign_waves(broken())
    with pytest.raises(LedgerFailed):
        book.wave_counts()
    assert shelf.reopen().wave_counts() == {1: {S.PENDING: 18}}


# ── rows that follow another ─────────────────────────────────────────────────────────────────


def test_a_lead_answers_for_its_followers(shelf: Shelf) -> None:
    """They count and show as it does, with their own number, labels and wave; only the lead is to be sent."""
    followers = [seed(row, destination_id="d1", lead=1, wave=2, labels=(f"copy {row}",)) for row in (3, 4)]
    book = shelf.seed(header(), [[seed(1, labels=("first",)), seed(2), *followers]])
    assert [(row.row, row.copies) for row in book.pending_between(1, 4)] == [(1, 3), (2, 1)]
    assert list(book.pending_between(3, 4)) == []
    book.commit([intent(1)])
    assert book.counts() == {S.IN_FLIGHT: 3, S.PENDING: 1}
    book.commit([setback(1, http_status=500)])
    assert book.counts() == {S.PENDING: 4}
    assert [rows_of(book)[row].http_status for row in (1, 2, 3, 4)] == [500, None, 500, 500]
    book.commit([intent(1, 2), outcome(1, attempt=2, facts=b"{}")])
    assert book.counts() == {S.ACCEPTED: 3, S.PENDING: 1}
    assert list(book.row_numbers({S.ACCEPTED})) == [1, 3, 4]
    shown = rows_of(book)
    for row in (3, 4):
        assert shown[row] == shown[1]._replace(row=row, wave=2, labels=f'["copy {row}"]')
    assert shown[1].attempts == 2


def credentials_of(book: Ledger) -> dict[int, tuple[str, list[tuple[str, str, str]]]]:
    """The report's view of credentials, by row."""
    rows = [row for batch in book.credential_rows(2) for row in batch]
    assert [row.row for row in rows] == sorted({row.row for row in rows})
    return {row.row: (row.credential, [tuple(one) for one in json.loads(row.versions)]) for row in rows}


def test_rows_with_secrets_are_named_by_their_credential(shelf: Shelf) -> None:
    """Those without are left out, and one whose store told no version has none; all of it lasts."""
    names = {1: "env:A", 3: 'vault:ü "x", inline', 4: "env:A", 6: "env:B"}
    book = shelf.seed(header(), [[seed(row, credential=names.get(row)) for row in range(1, 7)]])
    for _ in range(2):
        assert credentials_of(book) == {row: (name, []) for row, name in names.items()}
        book = shelf.reopen()


def test_the_versions_of_a_row_are_those_of_its_last_patch_that_left(shelf: Shelf) -> None:
    """Not those of a test, nor of an attempt that was withdrawn; by path; a follower has its lead's."""
    rows = [seed(1, credential="vault:a, vault:b"), seed(2, credential="vault:a, vault:b", lead=1)]
    book = shelf.seed(header(), [rows])
    book.commit([intent(1, 1, Stage.PRETEST), resolved(1, 1, version="1"), passed(1, 1, Stage.PRETEST)])
    assert credentials_of(book)[1][1] == []
    b = "b.password"
    book.commit([intent(1, 2), resolved(1, 2, b, reference="vault:b", version="ü"), resolved(1, 2, version="2")])
    book.commit([setback(1, 2), intent(1, 3), resolved(1, 3, version="3"), withdrawn(1, 3)])
    second = [("a.password", "vault:a", "2"), (b, "vault:b", "ü")]
    assert credentials_of(book) == dict.fromkeys((1, 2), ("vault:a, vault:b", second))
    book.commit([intent(1, 4), resolved(1, 4, version="4"), passed(1, 4), intent(1, 5, Stage.VERIFY)])
    for _ in range(2):
        assert credentials_of(book)[2][1] == [("a.password", "vault:a", "4")]
        book = shelf.reopen()


def test_every_row_of_an_id_tells_the_same_story(book: Ledger) -> None:
    told: list[Record] = [intent(9), outcome(9)]
    book.commit(told)
    assert [(row, list(events)) for row, events in book.story("d9")] == [(9, told), (10, told)]


# ── reading ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.proves("G10")
@pytest.mark.parametrize(("batch", "sizes"), [(1, [1] * 20), (7, [7, 7, 6]), (10, [10, 10]), (20, [20]), (99, [20])])
def test_outcome_rows_come_in_batches_and_in_input_order(book: Ledger, batch: int, sizes: list[int]) -> None:
    batches = list(book.outcome_rows(batch))
    assert [len(rows) for rows in batches] == sizes
    assert [row.row for rows in batches for row in rows] == list(range(1, 21))


def test_a_range_of_rows_is_read_alone(book: Ledger) -> None:
    everything = [row for rows in book.outcome_rows() for row in rows]
    for first, last in ((1, 1), (3, 5), (20, 99), (21, 99)):
        assert [row for rows in book.outcome_rows(first=first, last=last) for row in rows] == everything[
            first - 1 : last
        ]
        named = [row for rows in book.credential_rows() for row in rows if first <= row.row <= last]
        assert [row for rows in book.credential_rows(first=first, last=last) for row in rows] == named
    assert [row for rows in book.outcome_rows(first=19) for row in rows] == everything[18:]


def test_a_story_is_told_in_order(book: Ledger) -> None:
    """Attempt by attempt, each with its answer, however the commits fell; every detail comes back."""
    told: list[Record] = [
        intent(4, at_us=2**52, at_s=0.1 + 0.2),
        setback(4, stage=Stage.PRETEST, http_status=503, latency_us=12, wait_us=2**40, maybe_applied=True),
        intent(4, 2),
        withdrawn(4, 2),
        intent(4, 3),
        throttled(4, 3),
        intent(4, 4),
        lost(4, 4),
        intent(4, 5),
        outcome(4, S.UNVERIFIED, attempt=5, code="BP420", error="ü\n", facts=b"\x00\xff", stage=Stage.VERIFY),
    ]
    book.commit([act("started"), *told[:3], intent(5)])
    book.commit([told[3], act("stopped")])
    book.commit(told[4:])
    ((row, events),) = book.story("d4")
    assert row == 4
    assert [repr(event) for event in events] == [repr(record) for record in told]


def test_an_outcome_without_an_attempt_ends_the_story_of_those_before(book: Ledger) -> None:
    """An outcome carries the number of the last attempt and stands after that attempt's setback."""
    told: list[Record] = [intent(1), setback(1), outcome(1, S.REJECTED, code="BP417")]
    book.commit([told[2]])
    book.commit(told[:2])
    book.commit([outcome(2, S.NOOP, attempt=0)])
    assert [list(events) for _, events in book.story("d1")] == [told]
    assert [list(events) for _, events in book.story("d2")] == [[outcome(2, S.NOOP, attempt=0)]]


def test_an_id_that_is_not_there_has_no_story(book: Ledger) -> None:
    assert [list(book.story(name)) for name in ("nobody", "", "D1", "d1 ")] == [[], [], [], []]


def test_recent_sends_are_those_that_left_since_then(book: Ledger) -> None:
    """By their answers, ascending, the moment itself included; those of lost ones too, of withdrawn ones never."""
    book.commit([intent(5), outcome(5, at_us=50), intent(4), setback(4, at_us=40), intent(3), withdrawn(3)])
    book.commit([intent(1), setback(1, at_us=29, code="BP418"), intent(6), passed(6, at_us=30)])
    assert [one and one[0] for one in book.recent_sends(30, math.inf)] == [30, 40, 50]
    assert [one and one[0] for one in book.recent_sends(0, math.inf)] == [29, 30, 40, 50]
    assert list(book.recent_sends(51, math.inf)) == []


def test_recent_sends_go_by_either_clock(book: Ledger) -> None:
    """An answer's monotonic time is its intent's, and what passed by the wall clock since."""
    book.commit([intent(1, at_us=2_000_000, at_s=7.0), outcome(1, at_us=2_500_000)])
    assert list(book.recent_sends(0, math.inf)) == [(2_500_000, 7.5, 7.0)]
    assert list(book.recent_sends(9_000_000, 7.5)) == [(2_500_000, 7.5, 7.0)]
    assert list(book.recent_sends(9_000_000, 7.6)) == []


def test_what_was_not_answered_may_have_left_at_any_time(book: Ledger) -> None:
    """However long ago it was meant to: it stands last, as None, until its loss is on record; so do its intents."""
    book.commit([intent(7, 1, Stage.EXPECT), passed(7, 1, Stage.EXPECT, at_us=30), intent(7, 2), intent(2)])
    book.commit([intent(5), outcome(5, at_us=50), intent(3), withdrawn(3), intent(4), setback(4, at_us=60)])
    assert [one and one[0] for one in book.recent_sends(40, math.inf)] == [50, 60, None, None]
    assert list(book.unanswered()) == [intent(2), intent(7, 2)]
    assert type(book.unanswered()[0].stage) is Stage
    book.commit([setback(2, at_us=70), outcome(7, attempt=2, at_us=80)])
    assert [one and one[0] for one in book.recent_sends(40, math.inf)] == [50, 60, 70, 80]
    assert list(book.unanswered()) == []


def test_acts_keep_the_order_they_were_committed_in(shelf: Shelf) -> None:
    """Not that of their time stamps: a clock may go back."""
    done = [act("started", 9), act("throttled", 3, '{"rate":"ü"}'), act("started", 9), act("stopped", 1)]
    book = shelf.seed(header(), seeds(3))
    book.commit([done[0], intent(1), done[1]])
    book.commit(done[2:])
    assert list(book.acts()) == done
    assert list(shelf.reopen().acts()) == done


# ── committing ───────────────────────────────────────────────────────────────────────────────


def test_a_commit_of_nothing_changes_nothing(book: Ledger) -> None:
    book.commit([])
    assert book.counts() == {S.PENDING: 20}


CONTRADICTIONS: dict[str, list[Record]] = {
    "a second outcome": [outcome(1)],
    "a second outcome of another kind": [outcome(1, S.REJECTED, attempt=9)],
    "two outcomes at once": [outcome(3), outcome(3)],
    "an intent again": [intent(1, at_us=77)],
    "two intents at once": [intent(4, 2), intent(4, 2)],
    "a setback again": [throttled(2)],
    "two setbacks at once": [setback(4, 2), withdrawn(4, 2)],
    "a stage passed again": [passed(8)],
    "a second settlement": [settlement(1, S.REJECTED)],
    "a version again": [resolved(8, version="8")],
    "two versions at once": [resolved(5), resolved(5, version="8")],
    "two settlements at once": [settlement(3), settlement(3)],
}


@pytest.mark.parametrize("wrong", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_contradiction_is_refused_with_its_whole_commit(shelf: Shelf, wrong: list[Record]) -> None:
    """Nothing of the batch is kept, whatever stands before or after it; the ledger is then used no more."""
    book = shelf.seed(header(), seeds(20))
    book.commit([act("started"), intent(1), outcome(1), settlement(1), intent(2), setback(2), intent(8), passed(8)])
    book.commit([resolved(8)])
    before = [read(book) for read in READS]
    begun = book.outcome_rows(1)
    next(begun)
    good: list[Record] = [act("stopped"), intent(5), setback(5), outcome(6), sight(7), intent(8, 2), passed(8, 2)]
    with pytest.raises(Broken) as refused:
        book.commit([*good, *wrong, intent(7)])
    assert (refused.value.code, refused.value.exit_code) == ("BP901", ExitCode.INTERNAL)
    for read in READS:
        with pytest.raises(LedgerFailed):
            read(book)
    with pytest.raises(LedgerFailed):
        book.commit([intent(9)])
    again = shelf.reopen()
    with pytest.raises(LedgerFailed):
        next(begun)
    assert [read(again) for read in READS] == before
    again.commit(good)
    assert again.counts()[S.ACCEPTED] == 2


@pytest.mark.parametrize(
    "wrong",
    [
        setback(2, error="\ud800"),
        outcome(2, error="\udfff"),
        settlement(2, error="\ud800"),
        sight(2, vendor="\ud800"),
        passed(2, code="\ud800"),
        act("stopped", detail="\ud800"),
        resolved(2, version="\ud800"),
        cast("Record", "row 2"),
    ],
    ids=["setback", "outcome", "settlement", "sight", "passed", "act", "resolved", "no record"],
)
def test_what_cannot_be_kept_is_refused_with_its_whole_commit(shelf: Shelf, wrong: Record) -> None:
    """A text that is no Unicode, a thing that is no record: never left out in silence, never shown by the refusal."""
    book = shelf.seed(header(), seeds(20))
    with pytest.raises(Broken) as refused:
        book.commit([intent(1), wrong])
    assert refused.value.code == "BP901"
    assert "UnicodeEncodeError" not in "".join(traceback.format_exception(refused.value))
    with pytest.raises(LedgerFailed):
        book.counts()
    assert shelf.reopen().counts() == {S.PENDING: 20}


def test_a_ledger_that_failed_is_used_again_once_it_is_reopened(book: Ledger) -> None:
    """Without what the failed commit held; one that did not fail goes on as before."""
    book.reopen()
    book.commit([intent(1)])
    with pytest.raises(Broken):
        book.commit([intent(2), intent(1)])
    book.reopen()
    assert book.counts() == {RowState.IN_FLIGHT: 1, RowState.PENDING: 19}
    book.commit([outcome(1), intent(2)])
    assert book.counts() == {RowState.ACCEPTED: 1, RowState.IN_FLIGHT: 1, RowState.PENDING: 18}


def test_what_follows_a_refused_row_is_not_held_against_it(shelf: Shelf) -> None:
    """A record that was refused with others may be committed later: it never was there."""
    book = shelf.seed(header(), seeds(20))
    book.commit([outcome(1)])
    with pytest.raises(Broken):
        book.commit([intent(2), setback(2), outcome(2), outcome(1)])
    again = shelf.reopen()
    again.commit([intent(2), setback(2), outcome(2)])
    assert again.counts() == {S.ACCEPTED: 2, S.PENDING: 18}


# ── the end ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "use",
    [*READS, lambda book: book.commit([intent(1)]), lambda book: book.assign_waves([(1, 2)])],
    ids=[*READ_NAMES, "commit", "assign_waves"],
)
def test_a_closed_ledger_is_used_no_more(book: Ledger, use: Callable[[Ledger], object]) -> None:
    """Nor is what was being read from it; but it may be closed again, and still says whose it was."""
    begun = book.outcome_rows(5)
    next(begun)
    book.close()
    book.close()
    with pytest.raises(LedgerFailed) as refused:
        use(book)
    assert refused.value.code == "BP607"
    with pytest.raises(LedgerFailed):
        next(begun)
    assert book.header().run_id == "j-1"


def test_what_was_committed_is_found_by_the_next_process(shelf: Shelf) -> None:
    book = shelf.seed(header(), seeds(20))
    book.commit([act("started"), intent(1), outcome(1), settlement(1), intent(2), setback(2), intent(9), sight(3)])
    book.commit([intent(4), passed(4), intent(5), resolved(5)])
    book.assign_waves([(2, 2), (9, 3)])
    before = [read(book) for read in READS]
    for _ in range(2):
        book = shelf.reopen()
        assert [read(book) for read in READS] == before


def test_a_ledger_that_was_opened_again_is_gone_for_the_process_before(shelf: Shelf) -> None:
    """Whatever still runs of it can neither read nor write."""
    before = shelf.seed(header(), seeds(20))
    after = shelf.reopen()
    with pytest.raises(LedgerFailed):
        before.commit([intent(1)])
    with pytest.raises(LedgerFailed):
        before.counts()
    assert after.counts() == {S.PENDING: 20}


# ── traffic ──────────────────────────────────────────────────────────────────────────────────


def test_traffic_is_told_by_interval(shelf: Shelf) -> None:
    """What left and what came to nothing, each where it happened; empty intervals are left out."""
    book = shelf.seed(header(), seeds(5))
    assert list(book.beats(10)) == []
    book.commit([intent(1, at_us=1_009), throttled(1), intent(2, at_us=1_010), intent(3, at_us=1_019)])
    book.commit([setback(3, at_us=1_040), intent(3, 2, at_us=1_050), withdrawn(3, 2)])
    told = [(11, 0, 1, 1), (1_009, 1, 0, 0), (1_010, 1, 0, 0), (1_019, 1, 0, 0), (1_040, 0, 1, 0)]
    assert list(book.beats(1)) == told
    assert list(book.beats(10)) == [(10, 0, 1, 1), (1_000, 1, 0, 0), (1_010, 2, 0, 0), (1_040, 0, 1, 0)]
    assert list(shelf.reopen().beats(10_000)) == [(0, 3, 2, 1)]


def test_a_request_stands_where_it_left(shelf: Shelf) -> None:
    """An intent is on record before its turn: its own answer, less its latency, says when it left."""
    book = shelf.seed(header(), seeds(5))
    book.commit([intent(1, at_us=100), setback(1, at_us=900, latency_us=300), intent(1, 2, at_us=1_000)])
    book.commit([passed(1, 2, at_us=1_900, latency_us=300), intent(1, 3, at_us=2_000)])
    book.commit([outcome(1, attempt=3, at_us=2_900, latency_us=300), intent(2, at_us=3_000), outcome(2, attempt=0)])
    assert [(beat.at_us, beat.sends) for beat in book.beats(100)] == [
        (600, 1), (900, 0), (1_600, 1), (2_600, 1), (3_000, 1)
    ]  # fmt: skip


def test_hitches_are_counted_by_cause(shelf: Shelf) -> None:
    """Attempts, and the rows they were of; by code and status, the most frequent first."""
    book = shelf.seed(header(), seeds(5))
    assert list(book.hitches()) == []
    book.commit([intent(1), throttled(1), intent(1, 2), throttled(1, 2), intent(2), throttled(2), intent(3)])
    book.commit([setback(3), intent(3, 2), setback(3, 2, http_status=500), intent(3, 3), withdrawn(3, 3)])
    told = [("BP406", 429, 3, 2), ("BP411", None, 1, 1), ("BP411", 500, 1, 1)]
    assert list(book.hitches()) == told
    assert list(shelf.reopen().hitches()) == told
