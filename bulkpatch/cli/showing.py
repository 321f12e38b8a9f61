"""A plan, in lines for people and as a document for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bulkpatch.api.diffing import LiveView, RowDiff
from bulkpatch.api.options import Plan
from bulkpatch.core.waves import WaveKeeper, WaveState
from bulkpatch.observe.words import count, duration, gate_words, harmless
from bulkpatch.prequel.diff import FieldDiff, Kind
from bulkpatch.prequel.live import MISSING

ROWS_SHOWN: Final = 10
"""Rows that are shown field by field on a screen."""
VALUE_CHARS_MAX: Final = 60
"""Characters of a value in a line."""
_VERDICTS: Final = {
    "change": "change",
    "unknowable": "set what cannot be read back (secrets, machine_type_id)",
    "noop": "are as asked already: not sent",
    "missing": "name a destination that is not there",
    "clash": "are of another vendor: not sent",
    "sign_in": "set credentials that a PATCH cannot change: not sent",
}


def plan_lines(plan: Plan) -> Sequence[str]:
    """What is about to happen: counts, cost, waves, fields, then the first rows."""
    job, limits = plan.job, plan.limits
    lines = [
        f"{job.name}: {count(plan.rows)} rows → {count(plan.sends)} PATCH requests to {plan.base_url}",
        f"  key          {plan.key_class}",
        *_live_lines(plan.live),
    ]
    if plan.left_out:
        lines.append(f"  left out     {count(plan.left_out)} by where or limit")
    if repeats := _repeats(plan):
        lines.append(f"  repeats      {count(repeats)} rows share the request of a row above")
    reads = f"{count(plan.live.reads)} reads done, " if plan.live is not None else ""
    takes = f": at least {duration(plan.seconds)} at {limits.rate}; the {plan.bound_by} binds" if plan.requests else ""
    lines += [
        f"  cost         {reads}{count(plan.requests)} requests to come{takes}",
        f"  limits       {limits.rate}, {limits.concurrency} in flight, {limits.attempts} attempts a row",
        f"  guard        {plan.guard_text}; a stop overshoots by at most {limits.concurrency}",
        *_wave_lines(plan.waves),
        f"  secrets      {count(plan.references)} references, shown as such, resolved just before use",
        "  sets",
    ]
    widest = max((len(path) for path in plan.fields), default=0)
    lines += [f"    {path:<{widest}}  {_field_words(plan, path, number)}" for path, number in plan.fields.items()]
    lines += list(_row_lines(plan))
    lines += [f"  warning: {warning}" for warning in plan.warnings]
    return lines


def _repeats(plan: Plan) -> int:
    spared = plan.live.noops + plan.live.clashes if plan.live is not None else 0
    return max(0, plan.rows - plan.sends - spared)


def _live_lines(live: LiveView | None) -> Iterator[str]:
    if live is None:
        yield "  fleet        not read"
        return
    if not live.known:
        yield "  fleet        the API neither lists nor shows it: nothing is known of the live state"
        return
    for verdict, words in _VERDICTS.items():
        if number := live.verdicts[verdict]:
            yield f"  fleet        {count(number)} rows {words}"
    if live.unexpected:
        yield f"  expect       {count(live.unexpected)} rows fail a guard of [expect] as things stand: skipped then"


def _wave_lines(waves: Sequence[WaveState]) -> Iterator[str]:
    if len(waves) < 2:  # noqa: PLR2004  (one wave is no wave)
        return
    for wave in waves:
        gate = wave.gate
        limit = WaveKeeper(wave).limit
        held = gate_words(
            allowed="" if limit is None else str(limit),
            soak_s=gate.soak_s,
            transfers=gate.transfers,
            window_s=gate.window_s,
            plugin=gate.plugin,
            approve=gate.approve,
        )
        name = f" {wave.name}" if wave.name else ""
        yield f"  wave {wave.number}{name}: {count(wave.rows)} rows" + ("" if wave.last else f"; then: {held}")


def _field_words(plan: Plan, path: str, number: int) -> str:
    kinds = plan.live.fields.get(path) if plan.live is not None else None
    if kinds is None:
        return f"in {count(number)} rows"
    words = {"change": "change", "same": "same", "unknown": "cannot be known"}
    return ", ".join(f"{count(kinds[kind])} {word}" for kind, word in words.items() if kinds[kind])


def _row_lines(plan: Plan) -> Iterator[str]:
    if plan.live is None or not plan.live.shown:
        yield "  first bodies"
        for operation in plan.sample:
            yield f"    row {operation.row}  {operation.destination_id}  {_cut(operation.body.decode(), 200)}"
        return
    rows = [row for row in plan.live.shown if row.verdict != "noop"][:ROWS_SHOWN]
    if rows:
        yield f"  first {len(rows)} rows that are not as asked"
    for row in rows:
        yield f"    row {row.row}  {row.destination_id}  {row.verdict}" + (
            f": {harmless(row.note)}" if row.note else ""
        )
        yield from (f"      {_diff_words(one)}" for one in row.fields if one.kind is not Kind.SAME)


def _diff_words(diff: FieldDiff) -> str:
    if diff.kind is Kind.CHANGE:
        return f"{diff.path}: {_value(diff.before)} → {_value(diff.after)}"
    return f"{diff.path}: cannot be known" + ("" if diff.after is MISSING else f" → {_value(diff.after)}")


def _value(value: Any) -> str:
    return "(not set)" if value is MISSING else _cut(json.dumps(value, ensure_ascii=True), VALUE_CHARS_MAX)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


# ── as a document ────────────────────────────────────────────────────────────────────────────


def plan_document(plan: Plan) -> Mapping[str, Any]:
    """The same, for ``--json``; ``rows`` holds the first thousand rows field by field."""
    live, sample = plan.live, plan.sample
    document: dict[str, Any] = {
        "job": plan.job.name,
        "base_url": plan.base_url,
        "key_class": plan.key_class,
        "rows": plan.rows,
        "sends": plan.sends,
        "left_out": plan.left_out,
        "requests": plan.requests,
        "reads": live.reads if live is not None else 0,
        "fields": dict(plan.fields),
        "secret_references": plan.references,
        "seconds": plan.seconds,
        "bound_by": plan.bound_by,
        "overshoot": plan.limits.concurrency,
        "guard": plan.guard_text,
        "waves": [{"wave": wave.number, "name": wave.name, "rows": wave.rows} for wave in plan.waves],
        "sample": [{"row": op.row, "destination_id": op.destination_id, "body": op.body.decode()} for op in sample],
        "warnings": list(plan.warnings),
        "live": None,
    }
    if live is not None:
        document["live"] = {
            "known": live.known,
            "changes": live.verdicts["change"],
            "noops": live.noops,
            "unknowable": live.verdicts["unknowable"],
            "missing": live.verdicts["missing"],
            "vendor_clashes": live.verdicts["clash"],
            "sign_in_clashes": live.verdicts["sign_in"],
            "unexpected": live.unexpected,
            "fields": {path: dict(kinds) for path, kinds in live.fields.items()},
            "rows": [_row_document(row) for row in live.shown],
        }
    return document


def _row_document(row: RowDiff) -> Mapping[str, Any]:
    return {
        "row": row.row,
        "destination_id": row.destination_id,
        "verdict": row.verdict,
        "note": row.note,
        "fields": {one.path: _field_document(one) for one in row.fields},
    }


def _field_document(diff: FieldDiff) -> Mapping[str, Any]:
    known = {"before": diff.before, "after": diff.after}
    return {"kind": diff.kind.value, **{name: value for name, value in known.items() if value is not MISSING}}
