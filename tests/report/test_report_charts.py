"""The charts: what they draw adds up to the run, however short, long, broken off or slow it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from page_rig import SECOND_US, rich, write
from report_fakes import SENT_AT_US, ListLedger, outcome_row

from bulkpatch.model import Act, Beat, OutcomeRow, RowState
from bulkpatch.reporting.columns import outcome_schema
from bulkpatch.reporting.frames import Finality, outcome_frames
from bulkpatch.reporting.group import scan
from bulkpatch.reporting.page.earlier import comparison
from bulkpatch.reporting.page.intervals import BINS_MAX, waves_of
from bulkpatch.reporting.page.latency import latency
from bulkpatch.reporting.page.shapes import LEFT, RIGHT, WIDTH, Chart, Label, Rect, nice
from bulkpatch.reporting.page.shapes import Path as Line
from bulkpatch.reporting.page.timeline import Timeline, timeline

YEAR_US = 366 * 86_400 * SECOND_US


def sent(number: int, state: RowState, at_us: int, took_us: int, *, wave: int = 1) -> OutcomeRow:
    """A row whose only request left ``at_us`` after the first, and was answered ``took_us`` later."""
    row = outcome_row(number, state, latency_us=took_us)
    return row._replace(sent_at_us=SENT_AT_US + at_us, finished_at_us=SENT_AT_US + at_us + took_us, wave=wave)


def act(kind: str, at_us: int, **detail: Any) -> Act:
    """Something that was done to the run, ``at_us`` after its first request."""
    return Act(at_us=SENT_AT_US + at_us, kind=kind, actor="ann", detail=json.dumps(detail))


def drawn(ledger: ListLedger) -> Timeline | None:
    """The timeline of a run."""
    empty = pl.DataFrame(schema=outcome_schema(ledger.labels))
    table = pl.concat([empty, *outcome_frames(ledger, final=Finality.STOPPED)]).lazy()
    return timeline(ledger, table, waves_of(table))


LABEL_CHAR = 6.0
"""Units that a character of a label takes."""


def fits(chart: Chart) -> None:
    """Nothing is drawn outside the chart, and nothing is without a size."""
    for shape in chart.shapes:
        match shape:
            case Rect():
                assert LEFT - 0.1 <= shape.x <= shape.x + shape.width <= WIDTH - RIGHT + 0.2
                assert 0 <= shape.y <= shape.y + shape.height <= chart.height
                assert shape.width > 0
                assert shape.height > 0
            case Label():
                right = {"start": 1.0, "middle": 0.5, "end": 0.0}[shape.anchor]
                assert 0 <= shape.x <= shape.x + right * len(shape.text) * LABEL_CHAR <= WIDTH
                assert 0 <= shape.y <= chart.height
            case Line():
                assert "nan" not in shape.d


@st.composite
def runs(draw: st.DrawFn) -> ListLedger:
    """Rows sent over anything from no time to years, in some waves; some were settled long after the run's end."""
    span_us = draw(st.sampled_from([0, 1, SECOND_US, 95 * SECOND_US, 96 * SECOND_US, 86_400 * SECOND_US, 3 * YEAR_US]))
    states = st.sampled_from([RowState.ACCEPTED, RowState.REJECTED, RowState.UNKNOWN, RowState.UNVERIFIED])
    rows = [
        sent(number, draw(states), draw(st.integers(0, span_us)), draw(st.integers(0, 10**8)), wave=number % 3)
        for number in range(1, draw(st.integers(1, 12)))
    ]
    if draw(st.booleans()):
        rows.append(outcome_row(99, RowState.NOOP))
    last = max((row.finished_at_us or SENT_AT_US for row in rows), default=SENT_AT_US) - SENT_AT_US
    past = [act("started", -1, limits=draw(st.sampled_from(["1/h", "20/s", "1000000/s"])))]
    past += [act("finished", draw(st.integers(0, last)), exit_code=0)] if draw(st.booleans()) else []
    return ListLedger(rows, past=past, traffic=[Beat(row.sent_at_us or 0, 1, 1, 1) for row in rows if row.sent_at_us])


@settings(max_examples=30, deadline=None)
@given(runs())
def test_every_row_that_was_sent_is_drawn_once(ledger: ListLedger) -> None:
    """In one of at most so many intervals, or told to have been settled later; and all of it in the frame."""
    found = drawn(ledger)
    rows = [row for row in ledger.rows if row.attempts]
    assert (found is None) == (not rows)
    if found is None:
        return
    fits(found.chart)
    assert len(found.chart.spots) <= BINS_MAX + 1
    done, unknown, failed, requests = (sum(row[at] for row in found.chart.table.rows) for at in (1, 2, 3, 4))
    assert done + unknown + failed + found.settled_later == len(rows)
    assert unknown <= sum(row.state == "unknown" for row in rows)
    ended = any(one.kind == "finished" for one in ledger.past)
    assert ended or (found.settled_later, requests) == (0, len(rows))


def test_the_limit_is_drawn_from_when_until_when_it_held() -> None:
    """As it was set, throttled and set again; not while nobody worked on the run."""
    rows = [sent(n, RowState.ACCEPTED, n * SECOND_US // 4, 1_000) for n in range(1, 160)]
    past = [
        act("started", 0, limits="20/s"), act("throttled", 10 * SECOND_US, rate="10/s", before="20/s"),
        act("interrupted", 20 * SECOND_US, exit_code=130), act("resumed", 30 * SECOND_US, limits="20/s"),
        act("finished", 40 * SECOND_US, exit_code=0),
    ]  # fmt: skip
    found = drawn(ListLedger(rows, past=past, traffic=[Beat(row.sent_at_us or 0, 10, 0, 0) for row in rows]))
    assert found is not None
    lines = [shape.d for shape in found.chart.shapes if isinstance(shape, Line) and shape.kind == "limit"]
    spans = [[float(x) for x in d.replace("M", "").replace("H", " ").split()] for d in lines]
    wide = (WIDTH - LEFT - RIGHT) / 41
    assert [(round((begin - LEFT) / wide), round((end - LEFT) / wide)) for begin, _, end in spans] == [
        (0, 10), (10, 20), (30, 40)
    ]  # fmt: skip
    heights = [y for _, y, _ in spans]
    assert heights[0] == heights[2] < heights[1]
    assert ("limit", "limit 10/s to 20/s") in found.chart.legend


def test_a_limit_far_above_all_traffic_is_told_and_not_drawn() -> None:
    """It would press the bars flat."""
    rows = [sent(n, RowState.ACCEPTED, n * SECOND_US, 1_000) for n in range(1, 5)]
    traffic = [Beat(row.sent_at_us or 0, 1, 0, 0) for row in rows]
    found = drawn(ListLedger(rows, past=[act("started", 0, limits="500/s")], traffic=traffic))
    assert found is not None
    assert not [shape for shape in found.chart.shapes if shape.kind == "limit"]
    assert ("limit", "limit 500/s, far above") in found.chart.legend


def test_a_run_whose_process_was_killed_is_drawn_to_its_last_answer() -> None:
    """Its last ending is that of the process before."""
    rows = [sent(n, RowState.ACCEPTED, n * SECOND_US, 1_000) for n in range(1, 40)]
    past = [act("started", 0), act("interrupted", 10 * SECOND_US), act("resumed", 20 * SECOND_US)]
    found = drawn(ListLedger(rows, past=past))
    assert found is not None
    assert found.settled_later == 0
    assert sum(row[1] for row in found.chart.table.rows) == len(rows)


def test_one_failure_among_thousands_is_seen() -> None:
    """Its bar has a height, however many rows were done in the same second."""
    rows = [sent(n, RowState.ACCEPTED, n, 1_000) for n in range(1, 3_000)]
    found = drawn(ListLedger([*rows, sent(3_000, RowState.REJECTED, 5, 1_000)]))
    assert found is not None
    (bar,) = [shape for shape in found.chart.shapes if isinstance(shape, Rect) and shape.kind == "failed"]
    assert bar.height >= 1.5


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1e7)), max_size=30))
@example([0.9, 99.0])
def test_every_answer_is_in_one_column_of_the_spread(values: list[float | None]) -> None:
    """Whether it took no time or hours."""
    table = pl.LazyFrame({"latency_ms": pl.Series(values, dtype=pl.Float64)})
    known = [value for value in values if value is not None]
    chart = latency(table)
    assert (chart is None) == (not known)
    if chart is not None:
        fits(chart)
        assert sum(row[1] for row in chart.table.rows) == len(known)


@given(st.floats(1e-6, 1e12))
def test_an_axis_ends_at_a_round_number_not_far_above(value: float) -> None:
    assert value * (1 - 1e-6) <= nice(value) <= 2 * value


def test_two_runs_are_told_side_by_side(tmp_path: Path) -> None:
    """The same measures of both, and how each destination fared then and now."""
    then = [outcome_row(1), outcome_row(2, RowState.REJECTED), outcome_row(3, RowState.UNKNOWN), outcome_row(4)]
    now = [outcome_row(1), outcome_row(2), outcome_row(3, RowState.REJECTED), outcome_row(5), outcome_row(6)]
    earlier = write(ListLedger(then), tmp_path / "rotate-1").outcomes.parent
    found = comparison(scan(write(ListLedger(now), tmp_path / "rotate-2").outcomes), earlier)
    assert found is not None
    assert found.run == "rotate-1"
    measures = {row[0]: row[1:] for row in found.measures.rows}
    assert measures["rows"] == ("4", "5", "+1")
    assert measures["failed rows"] == ("2", "1", "-1")
    assert measures["failed share"] == ("50.0 %", "20.0 %", "-30.0")
    assert measures["of them unknown"] == ("1", "0", "-1")
    assert measures["latency p50, ms"] == ("1.50", "1.50", "0.00")
    assert set(found.fates.rows) == {
        ("done", "done", 1), ("failed", "done", 1), ("unknown", "failed", 1), ("done", "not in the run", 1),
        ("not in the run", "done", 2),
    }  # fmt: skip


@pytest.mark.parametrize("what", ["missing", "damaged", "other"])
def test_without_readable_outcomes_nothing_is_compared(tmp_path: Path, what: str) -> None:
    """The page is made all the same."""
    if what == "damaged":
        (tmp_path / "outcomes.parquet").write_bytes(b"PAR1 not really")
    elif what == "other":
        pl.DataFrame({"row": [1]}).write_parquet(tmp_path / "outcomes.parquet")
    ledger = rich(20)
    table = scan(write(ledger, tmp_path / "run").outcomes)
    assert comparison(table, tmp_path) is None
