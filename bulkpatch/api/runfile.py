"""``run.json``: where a run stands, for anyone who looks from outside. Renamed into place, never half written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from bulkpatch.model import Event, Limits, Progressed, RunHeader, RunResult, Snapshot

FILE = "run.json"
SCHEMA = "bulkpatch.run/1"


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
            self._put({"state": "running", "exit_code": None, **_counts(event.snapshot)})

    def end(self, result: RunResult, extra: Mapping[str, Any]) -> None:
        """The last state of this process's part in the run."""
        ended = {"state": result.status, "exit_code": int(result.exit_code), "code": result.code}
        self._put({**ended, "reason": result.reason, **_counts(result.snapshot), **extra})

    def _put(self, moving: Mapping[str, Any]) -> None:
        self._write(json.dumps({**self._fixed, **moving}, indent=1).encode())


def _counts(snapshot: Snapshot) -> dict[str, Any]:
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
    }
