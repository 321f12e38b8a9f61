"""``summary.md``: one page for the change ticket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bulkpatch.model import RunResult
from bulkpatch.reporting.advice import Step, next_steps, why_stopped
from bulkpatch.reporting.glance import FIELDS_MAX
from bulkpatch.reporting.inert import NOTHING, code_span
from bulkpatch.reporting.tables import markdown_cell, markdown_table

INPUTS_MAX: Final = 5
"""Input files that are named; the hash covers all."""
VENDORS_MAX: Final = 8
"""Vendors that are listed, those of most destinations first: it is to stay one page."""
COMMAND_CHARS_MAX: Final = 4_200
"""Characters of a command: a path of 4,096 bytes is the longest there is, and half a command is none."""


def summary(view: Mapping[str, Any], *, result: RunResult | None, notes: Sequence[str]) -> str:
    """What ``overview`` returned as Markdown: the verdict first, what to type next last.

    ``result`` says why this process stopped where the ledger has the code only. All text that came from outside stands
    as code, so it is no markup.
    """
    return "\n\n".join(block.strip("\n") for block in _blocks(view, result, notes)) + "\n"


def _blocks(view: Mapping[str, Any], result: RunResult | None, notes: Sequence[str]) -> Iterator[str]:
    yield f"# {view['verdict']}"
    if why := why_stopped(view, result):
        yield f"Why it stopped: {code_span(why)}"
    yield markdown_table(["what", "value"], ([name, markdown_cell(value)] for name, value in _origin(view)))
    yield "## Rows by state"
    yield markdown_table(["state", "rows"], ([state, markdown_cell(rows)] for state, rows in view["states"].items()))
    if view["fields"]:
        yield "## What was set"
        yield _fields(view["fields"])
    if view["failures"]:
        yield f"## Failures ({len(view['failures'])} of {view['failure_kinds']:,} kinds)"
        yield _failures(view["failures"])
    if view.get("credentials"):
        yield from _credentials(view["credentials"])
    if view["transfers"]:
        yield "## Last transfers"
        yield "As of the reply: they describe each destination's last transfer, not an effect of this change."
        yield _transfers(view["transfers"][:VENDORS_MAX])
        if (more := len(view["transfers"]) - VENDORS_MAX) > 0:
            yield f"And {more:,} more vendors: `report.html` has them."
    if view["acts"]:
        yield "## What was done to the run"
        yield _acts(view["acts"])
    yield from (f"Note: {note}." for note in notes)
    yield "`report.html` beside this file has it all: over time, latency, every failed row."
    yield "## Next"
    yield "\n".join(f"- {_step(step)}" for step in next_steps(view))


def _origin(view: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    run = view["run"]
    yield "job", f"{run['job']} ({run['job_path']})"
    yield "job SHA-256", run["job_sha256"]
    yield "run", run["run_id"] + (" (simulated)" if run["simulated"] else "")
    if run["parent"]:
        yield "follows run", run["parent"]
    yield "base URL", run["base_url"]
    for file in run["inputs"][:INPUTS_MAX]:
        yield "input", f"{file['path']} ({file['size']:,} bytes)"
    yield "input SHA-256", run["input_sha256"]
    yield "begun", run["created_at"]
    yield "first send", view["first_sent_at"]
    yield "last outcome", view["last_finished_at"]
    yield "requests", view["attempts"]
    for name in ("p50", "p95"):
        ms = view[f"latency_{name}_ms"]
        yield f"latency {name} (ms)", ms if ms is None else round(ms, 3)  # the ledger has microseconds
    yield "bulkpatch", run["tool_version"]


def _credentials(view: Mapping[str, Any]) -> Iterator[str]:
    names = ["credential", "rows", "verified", "unverified", "rejected", "held"]
    yield f"## By credential ({len(view['groups'])} of {view['credentials']:,})"
    yield markdown_table(names, ([markdown_cell(group[name]) for name in names] for group in view["groups"]))
    if not view["unverified_rows"]:
        return
    yield "## Unverified: changed, and not seen to work"
    yield "The old secret of such a row is still needed: revoke by `bulkpatch report RUN --verified` alone."
    columns = ["row", "destination_id", "credential", "fall_back_to"]
    table = ([markdown_cell(row[name]) for name in columns] for row in view["unverified"])
    yield markdown_table(["row", "destination", "credential", "fall back to"], table)
    if more := view["unverified_rows"] - len(view["unverified"]):
        yield f"And {more:,} more: `failures.csv` has them all."


def _fields(fields: Sequence[Mapping[str, Any]]) -> str:
    names = ["field", "rows", "done", "unknown", "failed"]
    table = markdown_table(names, ([markdown_cell(one[name]) for name in names] for one in fields[:FIELDS_MAX]))
    return table + (f"\nAnd {len(fields) - FIELDS_MAX:,} more fields." if len(fields) > FIELDS_MAX else "")


def _failures(failures: Sequence[Mapping[str, Any]]) -> str:
    names = ["rows", "state", "code", "message", "destinations, for instance"]
    return markdown_table(
        names,
        (
            [
                markdown_cell(kind["rows"]),
                kind["state"],
                markdown_cell(kind["error_code"]),
                markdown_cell(kind["error"]),
                ", ".join(map(code_span, kind["samples"])),
            ]
            for kind in failures
        ),
    )


def _transfers(vendors: Sequence[Mapping[str, Any]]) -> str:
    names = ["vendor", "destinations", "last transfers", "rows", "delta rows", "delta share", "MB"]
    return markdown_table(
        names,
        (
            [
                markdown_cell(vendor["vendor"]),
                markdown_cell(vendor["destinations"]),
                ", ".join(f"{rows:,} {code_span(status)}" for status, rows in vendor["transfers"].items()) or NOTHING,
                markdown_cell(vendor["rows_transferred"]),
                markdown_cell(vendor["delta_rows_transferred"]),
                NOTHING if vendor["delta_share"] is None else f"{vendor['delta_share']:.1%}",
                NOTHING if vendor["volume_transferred_in_mb"] is None else f"{vendor['volume_transferred_in_mb']:,.1f}",
            ]
            for vendor in vendors
        ),
    )


def _acts(acts: Sequence[Mapping[str, Any]]) -> str:
    return markdown_table(
        ["when", "what", "by", "detail"],
        (
            [
                markdown_cell(act["at"]),
                markdown_cell(act["kind"]),
                markdown_cell(act["actor"]),
                markdown_cell(json.dumps(act["detail"], ensure_ascii=False) if act["detail"] else None),
            ]
            for act in acts
        ),
    )


def _step(step: Step) -> str:
    words = (step.before, code_span(step.code, limit=COMMAND_CHARS_MAX), step.after)
    return " ".join(filter(None, words))
