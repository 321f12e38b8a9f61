"""``run.json``: where a run stands, for anyone who looks from outside. Renamed into place, never half written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from bulkpatch.model import Event, Limits, Progressed, RowState, RunHeader, RunResult, Snapshot, WaveView

FILE = "run.json"
SCHEMA = "bulkpatch.run/1"
_SAME = (
    "in_flight", "sends", "retries", "throttled", "p50_ms", "p95_ms", "elapsed_s", "left_s", "soaks_s",
    "opens_in_s", "approvals", "bound_by", "paused", "stopping",
)  # fmt: skip
"""Facts that are called in a document as in a snapshot."""


class RunFile:
    """The port ``Observer`` that keeps ``run.json`` fresh, about once a second. ``write`` puts bytes in place."""

    def __init__(
        self, header: RunHeader, limits: Limits, facts: Mapping[str, Any], *, write: Callable[[bytes], None]
    ) -> None:
        self._fixed = {
            "schema": SCHEMA,
            "run_id": header.run_id,
            "job": header.job_name,
            "job_path": header.job_path,
            "job_sha256": header.job_sha256,
            "inputs": [asdict(one) for one in header.inputs],
            "input_sha256": header.input_sha256,
            "base_url": header.base_url,
            "tool_version": header.tool_version,
            "created_at_us": header.created_at_us,
            "dry_run": header.dry_run,
            "simulated": header.simulated,
            "parent": header.parent,
            "plan": header.plan,
            "rows": header.rows,
            "limits": {
                "rate": str(limits.rate),
                "concurrency": limits.concurrency,
                "timeout_s": limits.timeout_s,
                "attempts": limits.attempts,
            },
            **facts,
        }
        self._write = write

    def notify(self, event: Event) -> None:
        """Take the latest snapshot over."""
        if isinstance(event, Progressed):
            self._put({"state": "running", "exit_code": None, **facts_of(event.snapshot)})

    def end(self, result: RunResult, extra: Mapping[str, Any]) -> None:
        """The last state of this process's part in the run."""
        ended = {"state": result.status, "exit_code": int(result.exit_code), "code": result.code}
        self._put({**ended, "reason": result.reason, **facts_of(result.snapshot), **extra})

    def _put(self, moving: Mapping[str, Any]) -> None:
        self._write(json.dumps({**self._fixed, **moving}, indent=1).encode())


def facts_of(snapshot: Snapshot) -> dict[str, Any]:
    """``snapshot`` as a document: what ``run.json`` and a live run's answer hold of it."""
    return {
        "counts": {state.value: number for state, number in snapshot.states.items() if number},
        "settled": snapshot.settled,
        "in_flight": snapshot.in_flight,
        "sends": snapshot.sends,
        "retries": snapshot.retries,
        "throttled": snapshot.throttled,
        "rate_limit_per_s": round(snapshot.rate_limit, 3),
        "rate_per_s": round(snapshot.rate_now, 3),
        "p50_ms": snapshot.p50_ms,
        "p95_ms": snapshot.p95_ms,
        "elapsed_s": round(snapshot.elapsed_s, 3),
        "rate_asked_per_s": round(snapshot.rate_asked, 3),
        "left_s": None if snapshot.left_s is None else round(snapshot.left_s, 3),
        "soaks_s": round(snapshot.soaks_s, 3),
        "opens_in_s": round(snapshot.opens_in_s, 3),
        "approvals": snapshot.approvals,
        "bound_by": snapshot.bound_by,
        "paused": snapshot.paused,
        "at_wave": None if snapshot.wave is None else asdict(snapshot.wave),
        "stopping": snapshot.stopping,
    }


def snapshot_of(document: Mapping[str, Any]) -> Snapshot:
    """The snapshot that ``facts_of`` put into ``document``, which an older version may have written."""
    wave = document.get("at_wave")
    named = {name: document[name] for name in _SAME if name in document}
    return Snapshot(
        total=document.get("rows", 0),
        states={RowState(state): number for state, number in document.get("counts", {}).items()},
        rate_asked=document.get("rate_asked_per_s", 0.0),
        rate_limit=document.get("rate_limit_per_s", 0.0),
        rate_now=document.get("rate_per_s", 0.0),
        wave=None if wave is None else WaveView(**{one: wave[one] for one in WaveView.__slots__ if one in wave}),
        **named,
    )
