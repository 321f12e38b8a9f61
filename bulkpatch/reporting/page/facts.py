"""Everything that the page says, gathered from a run's ledger and its outcomes. Its size does not grow with the run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from bulkpatch.errors import CODES
from bulkpatch.model import RowState, RunResult
from bulkpatch.ports import ReadLedger
from bulkpatch.reporting.advice import Step, next_steps, why_stopped
from bulkpatch.reporting.columns import DONE, FAILED
from bulkpatch.reporting.glance import FIELDS_MAX
from bulkpatch.reporting.group import once
from bulkpatch.reporting.page.earlier import Comparison, comparison
from bulkpatch.reporting.page.failures import causes, failed_rows, unknown_rows
from bulkpatch.reporting.page.intervals import waves_of
from bulkpatch.reporting.page.latency import by_vendor, latency
from bulkpatch.reporting.page.shapes import Chart, Table
from bulkpatch.reporting.page.timeline import Timeline, timeline
from bulkpatch.reporting.page.transfers import transfers

ATTEMPTS_MAX: Final = 12
"""Numbers of attempts that are told apart; `attempts` of a job are seldom more."""
WAVES_MAX: Final = 50
HITCHES_MAX: Final = 20

_TONES: Final = {
    **dict.fromkeys(map(str, DONE), "done"),
    **dict.fromkeys(map(str, FAILED), "failed"),
    str(RowState.UNKNOWN): "unknown",
    str(RowState.NOT_ATTEMPTED): "idle",
    str(RowState.PENDING): "idle",
    str(RowState.IN_FLIGHT): "unknown",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page's content, in the order in which it is told. What does not apply to the run is None or empty."""

    view: Mapping[str, Any]
    tone: str
    states: Sequence[tuple[str, int, str]]
    why: str
    steps: Sequence[Step]
    unknown: Table | None
    changed: Table
    timeline: Timeline | None
    waves: Table | None
    latency: Chart | None
    vendors: Table | None
    attempts: Table | None
    hitches: Table | None
    causes: Table | None
    failed: Table | None
    credentials: Sequence[Table]
    transfers: Sequence[Table]
    comparison: Comparison | None
    acts: Table
    notes: Sequence[str]


def page_of(  # noqa: PLR0913  (what the one caller has at hand)
    ledger: ReadLedger,
    table: pl.LazyFrame,
    view: Mapping[str, Any],
    *,
    result: RunResult | None = None,
    earlier: Path | None = None,
    notes: Sequence[str] = (),
) -> Page:
    """The page of the run behind ``ledger``, whose outcomes are ``table`` and whose ``overview`` is ``view``."""
    waves = waves_of(table)
    sent = bool(view["attempts"])
    return Page(
        view=view,
        tone=_tone(view),
        states=[(state, rows, _TONES[state]) for state, rows in view["states"].items()],
        why=why_stopped(view, result),
        steps=list(next_steps(view)),
        unknown=unknown_rows(table) if str(RowState.UNKNOWN) in view["states"] else None,
        changed=_changed(view["fields"]),
        timeline=timeline(ledger, table, waves),
        waves=_waves(waves) if len(waves) > 1 else None,
        latency=latency(table) if sent else None,
        vendors=by_vendor(table) if sent else None,
        attempts=_attempts(table) if sent else None,
        hitches=_hitches(ledger) if sent else None,
        causes=causes(table) if view["failed"] else None,
        failed=failed_rows(table) if view["failed"] else None,
        credentials=list(_credentials(view.get("credentials"))),
        transfers=transfers(table),
        comparison=comparison(table, earlier),
        acts=_acts(view["acts"]),
        notes=notes,
    )


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a value of the page, wherever it stands."""
    match value:
        case str():
            yield value
        case Mapping():
            for name, inner in value.items():
                yield str(name)
                yield from texts_of(inner)
        case list() | tuple():
            for inner in value:
                yield from texts_of(inner)
        case _ if is_dataclass(value):
            for field in fields(value):
                yield from texts_of(getattr(value, field.name))


def _tone(view: Mapping[str, Any]) -> str:
    """The colour of the verdict: that of the worst that holds of it."""
    tones = {_TONES[state] for state in view["states"]}
    if view["run"]["dry_run"]:
        return "idle"
    return next((tone for tone in ("unknown", "failed", "idle") if tone in tones), "done")


def _changed(fields: Sequence[Mapping[str, Any]]) -> Table:
    """Of each field that the run sets: in how many rows, and what became of them."""
    names = ("field", "rows", "done", "unknown", "failed")
    more = len(fields) - FIELDS_MAX
    return Table(
        caption="Fields that the run sets",
        heads=(("field", "code"), *((name, "count") for name in names[1:])),
        rows=tuple(tuple(one[name] for name in names) for one in fields[:FIELDS_MAX]),
        note=f"And {more:,} more fields." if more > 0 else "",
    )


def _waves(waves: Sequence[Mapping[str, Any]]) -> Table:
    more = len(waves) - WAVES_MAX
    return Table(
        caption="Waves",
        heads=(
            ("wave", "count"),
            ("rows", "count"),
            ("done", "count"),
            ("unknown", "count"),
            ("failed", "count"),
            ("first request", "when"),
            ("last row settled", "when"),
        ),
        rows=tuple(
            tuple(wave[name] for name in ("wave", "rows", "done", "unknown", "failed", "sent_at", "finished_at"))
            for wave in waves[:WAVES_MAX]
        ),
        note=f"And {more:,} more waves." if more > 0 else "",
    )


def _attempts(table: pl.LazyFrame) -> Table:
    shown = pl.min_horizontal("attempts", ATTEMPTS_MAX).alias("number")
    counted = table.group_by(shown).agg(pl.len(), once("attempts").cast(pl.Int64).sum().alias("sum")).sort("number")
    found = counted.collect().rows()
    most = max((rows for _, rows, _ in found), default=1)
    return Table(
        caption="Requests that a row took",
        heads=(
            ("requests", "text"),
            ("rows", "count"),
            ("share of the most frequent", "bar"),
            ("requests in all", "count"),
        ),
        rows=tuple(
            (f"{number} or more" if number == ATTEMPTS_MAX else str(number), rows, rows / most, total)
            for number, rows, total in found
        ),
    )


def _hitches(ledger: ReadLedger) -> Table | None:
    found = ledger.hitches()
    if not found:
        return None
    more = len(found) - HITCHES_MAX
    return Table(
        caption="Why attempts came to nothing, whether or not a later one went through",
        heads=(("code", "id"), ("HTTP", "count"), ("meaning", "text"), ("attempts", "count"), ("rows", "count")),
        rows=tuple(
            (one.code, one.http_status, _title(one.code), one.attempts, one.rows) for one in found[:HITCHES_MAX]
        ),
        note=f"And {more:,} more kinds." if more > 0 else "",
    )


def _title(code: str) -> str | None:
    return CODES[code].title if code in CODES else None


def _credentials(view: Mapping[str, Any] | None) -> Iterator[Table]:
    if view is None:
        return
    counted = ("rows", "verified", "unverified", "rejected", "held")
    more = view["credentials"] - len(view["groups"])
    yield Table(
        caption="Rows by credential",
        heads=(("credential", "code"), *((name, "count") for name in counted)),
        rows=tuple(tuple(group[name] for name in ("credential", *counted)) for group in view["groups"]),
        note=f"And {more:,} more: `bulkpatch report RUN --by credential` has them all." if more > 0 else "",
    )
    if view["unverified_rows"]:
        left = view["unverified_rows"] - len(view["unverified"])
        yield Table(
            caption="Unverified: changed, and not seen to work; the old secret of such a row is still needed",
            heads=(("row", "count"), ("destination", "id"), ("credential", "code"), ("fall back to", "text")),
            rows=tuple(
                (row["row"], row["destination_id"], row["credential"], row["fall_back_to"])
                for row in view["unverified"]
            ),
            note=f"And {left:,} more: failures.csv has them all." if left else "",
        )


def _acts(acts: Sequence[Mapping[str, Any]]) -> Table:
    return Table(
        caption="What was done to the run",
        heads=(("when", "when"), ("what", "text"), ("by", "text"), ("detail", "code")),
        rows=tuple(
            (
                act["at"],
                act["kind"],
                act["actor"],
                json.dumps(act["detail"], ensure_ascii=False) if act["detail"] else None,
            )
            for act in acts
        ),
    )
