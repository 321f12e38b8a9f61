"""One run at a glance: the facts that the summary, the page and ``report -o json`` show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from bulkpatch.model import Act, FailureKind, RowState, RunHeader, RunResult
from bulkpatch.ports import ReadLedger
from bulkpatch.reporting.columns import DONE, FAILED
from bulkpatch.reporting.group import MOVED, once, readable, scan, total
from bulkpatch.reporting.tables import SCHEMA_ID

FAILURES_MAX: Final = 10
"""Kinds of failure that are listed; with more, the rest is told as a number, and the outcomes have them all."""
SAMPLES_MAX: Final = 3
"""Destination ids named per kind of failure: enough to look one up."""
VENDORS_MAX: Final = 30
"""Vendors that are listed. The API knows 25; a reply may name anything."""
ID_CHARS_MAX: Final = 40
"""Characters of an id, as everywhere in messages."""

ACTS_MAX: Final = 20
"""Acts that are listed: the first, and the last ones. A run has few; pauses and throttles may add up."""

FIELDS_MAX: Final = 50
"""Fields that are listed as set, those of most rows first. A job names a handful."""

_JOINT: Final = "\x1f"
"""Stands in no field path."""
_UNSETTLED: Final = (RowState.PENDING, RowState.IN_FLIGHT, RowState.NOT_ATTEMPTED)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def overview(ledger: ReadLedger, outcomes: Path | pl.LazyFrame) -> dict[str, Any]:
    """What became of the run, as values that JSON can hold.

    ``outcomes`` is the run's ``outcomes.parquet`` (or a frame of that shape), from which all counts come. Transfers
    count a destination once, and are as of the reply: they describe its last transfer, not an effect of the patch.
    """
    table = scan(outcomes)
    with readable():
        by_state, kinds, numbers, sets, vendors, statuses = pl.collect_all(
            [table.group_by("state").len(), failure_kinds(table), _numbers(table), _sets(table), *_transfers(table)]
        )
    states = dict(by_state.iter_rows())
    header = ledger.header()
    return {
        "schema": SCHEMA_ID,
        "verdict": verdict(states, dry_run=header.dry_run),
        "run": _run(header),
        **{name: rfc3339(value) for name, value in numbers.row(0, named=True).items()},
        "done": sum(states.get(str(state), 0) for state in DONE),
        "failed": sum(states.get(str(state), 0) for state in FAILED),
        "states": {str(state): states[str(state)] for state in RowState if str(state) in states},
        "fields": _fields(sets),
        "failure_kinds": kinds.height,
        "failures": kinds.head(FAILURES_MAX).to_dicts(),
        "transfers": [row | {"transfers": _of_vendor(statuses, row["vendor"])} for row in vendors.to_dicts()],
        "acts": _acts(ledger.acts()),
    }


def verdict(states: Mapping[str, int], *, dry_run: bool) -> str:
    """How the run ended, in one sentence, from the number of rows by state."""
    rows = sum(states.values())
    unsettled = sum(states.get(str(state), 0) for state in _UNSETTLED)
    failed = sum(states.get(str(state), 0) for state in FAILED)
    unknown = states.get(str(RowState.UNKNOWN), 0)
    if dry_run:
        counts = ", ".join(f"{states[str(state)]:,} {state}" for state in RowState if str(state) in states)
        return f"DRY RUN: nothing was sent; of {rows:,} rows: {counts}."
    if unsettled:
        return f"STOPPED before the end: {unsettled:,} of {rows:,} rows are not settled."
    if unknown:
        return f"UNKNOWN: finished, but {unknown:,} of {rows:,} rows may or may not have been changed."
    if failed:
        return f"FAILED ROWS: finished; {failed:,} of {rows:,} rows failed."
    return f"DONE: all {rows:,} rows."


def rfc3339(value: Any) -> Any:
    """A time as RFC 3339 text in UTC; anything else as it is."""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _numbers(table: pl.LazyFrame) -> pl.LazyFrame:
    return table.select(
        pl.len().alias("rows"),
        once("attempts").cast(pl.Int64).sum().alias("attempts"),
        pl.col("latency_ms").quantile(0.50, "nearest").alias("latency_p50_ms"),
        pl.col("latency_ms").quantile(0.95, "nearest").alias("latency_p95_ms"),
        pl.col("sent_at").min().alias("first_sent_at"),
        pl.col("finished_at").max().alias("last_finished_at"),
    )


def _sets(table: pl.LazyFrame) -> pl.LazyFrame:
    """Rows by state and by the fields that they set together, of which a run has few."""
    return table.group_by(pl.col("fields").list.join(_JOINT).alias("set"), "state").len()


def _fields(sets: pl.DataFrame) -> list[dict[str, Any]]:
    """Of each field: in how many rows it is set, and how these ended. Those not settled count in ``rows`` alone."""
    found: dict[str, dict[str, int]] = {}
    for joined, state, rows in sets.iter_rows():
        unknown, done = state == RowState.UNKNOWN, state in DONE
        failed = state in FAILED and not unknown and state != RowState.NOT_ATTEMPTED
        for field in filter(None, (joined or "").split(_JOINT)):
            counts = found.setdefault(field, {"rows": 0, "done": 0, "unknown": 0, "failed": 0})
            for name, holds in (("rows", True), ("done", done), ("unknown", unknown), ("failed", failed)):
                counts[name] += rows * holds
    return [{"field": field} | found[field] for field in sorted(found, key=lambda one: (-found[one]["rows"], one))]


def failure_kinds(table: pl.LazyFrame) -> pl.LazyFrame:
    """Failed rows by state, code and message, the most frequent first, then as they first occurred."""
    return (
        table.filter(pl.col("state").is_in([str(state) for state in FAILED]))
        .group_by("state", "error_code", "error")
        .agg(
            pl.len().alias("rows"),
            pl.col("row").min().alias("first_row"),
            pl.col("destination_id").sort_by("row").head(SAMPLES_MAX).str.slice(0, ID_CHARS_MAX).alias("samples"),
        )
        .sort("rows", "first_row", descending=[True, False])
    )


def _transfers(table: pl.LazyFrame) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Per vendor, most destinations first, what the last transfers moved; and how many of them by status."""
    known = table.filter(pl.col("vendor").is_not_null() & pl.col("destination_id").is_first_distinct())
    vendors = (
        known.group_by("vendor")
        .agg(pl.len().alias("destinations"), *(total(name) for name in MOVED))
        .sort("destinations", "vendor", descending=[True, False])
        .head(VENDORS_MAX)
        .with_columns(
            pl.when(pl.col("rows_transferred") > 0)
            .then(pl.col("delta_rows_transferred") / pl.col("rows_transferred"))
            .alias("delta_share")
        )
    )
    return vendors, known.group_by("vendor", "transfer_status").len().sort("vendor", "transfer_status")


def _of_vendor(statuses: pl.DataFrame, vendor: str) -> dict[str, int]:
    rows = statuses.filter((pl.col("vendor") == vendor) & pl.col("transfer_status").is_not_null())
    return dict(rows.select("transfer_status", "len").iter_rows())


def _run(header: RunHeader) -> dict[str, Any]:
    return {
        "run_id": header.run_id,
        "job": header.job_name,
        "job_path": header.job_path,
        "job_sha256": header.job_sha256,
        "inputs": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in header.inputs],
        "input_sha256": header.input_sha256,
        "base_url": header.base_url,
        "tool_version": header.tool_version,
        "created_at": rfc3339(_EPOCH + timedelta(microseconds=header.created_at_us)),
        "dry_run": header.dry_run,
        "simulated": header.simulated,
        "parent": header.parent,
    }


def _acts(acts: Sequence[Act]) -> list[dict[str, Any]]:
    shown = acts if len(acts) <= ACTS_MAX else [acts[0], *acts[1 - ACTS_MAX :]]
    return [
        {
            "at": rfc3339(_EPOCH + timedelta(microseconds=act.at_us)),
            "kind": act.kind,
            "actor": act.actor,
            "detail": json.loads(act.detail),
        }
        for act in shown
    ]


def with_failures(result: RunResult, view: Mapping[str, Any]) -> RunResult:
    """``result`` with the causes of its failures. That a row was not attempted is no cause of its own."""
    kinds = [kind for kind in view["failures"] if kind["state"] != RowState.NOT_ATTEMPTED]
    return replace(
        result,
        failures=tuple(
            FailureKind(rows=kind["rows"], state=RowState(kind["state"]), code=kind["error_code"], error=kind["error"])
            for kind in kinds
        ),
        failure_kinds=view["failure_kinds"] - (len(view["failures"]) - len(kinds)),
        simulated=view["run"]["simulated"],
    )
