"""What the tests of this room share: a clock that moves when told, and a run's events."""

from __future__ import annotations

from typing import Any

from bulkpatch.model import (
    AttemptSent,
    Limits,
    Notice,
    Outcome,
    Progressed,
    Rate,
    RowSetBack,
    RowSettled,
    RowState,
    RunEnded,
    RunResult,
    RunStarted,
    Setback,
    Snapshot,
    Stage,
)

RUN = "rotate-20260704T080910Z-a1b2"
CANARY = "Zq7Wm2xK9vTb4NcR8yHd3GfJ6sLp1AeU"


class HandClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        """As it was set."""
        return self.now_s

    def wall_us(self) -> int:
        """2026-07-04T08:09:10.5Z when it starts."""
        return 1_783_152_550_500_000 + round((self.now_s - 100.0) * 1_000_000)


def snapshot(**changes: Any) -> Snapshot:
    """A run in its middle."""
    fields: dict[str, Any] = {
        "total": 12_000,
        "states": {RowState.ACCEPTED: 6_016, RowState.NOOP: 12, RowState.REJECTED: 4, RowState.UNKNOWN: 1},
        "in_flight": 8,
        "sends": 6_100,
        "retries": 31,
        "throttled": 10,
        "rate_asked": 50.0,
        "rate_limit": 50.0,
        "rate_now": 49.4,
        "p50_ms": 118.2,
        "p95_ms": 2_612.0,
        "elapsed_s": 124.0,
        "left_s": 4_000.0,
        "bound_by": "the rate",
    }
    return Snapshot(**{**fields, **changes})


def started(**changes: Any) -> RunStarted:
    """A run of 12,000 rows that begins."""
    fields: dict[str, Any] = {
        "run_id": RUN,
        "job_name": "rotate-postgres",
        "total": 12_000,
        "left": 12_000,
        "limits": Limits(rate=Rate(count=50, unit_s=1), concurrency=8, timeout_s=30.0, attempts=5),
        "guard_text": "1% after 20",
        "base_url": "https://api.example.test",
        "resumed": False,
        "in_doubt": 0,
    }
    return RunStarted(**{**fields, **changes})


def settled(row: int, state: RowState, error: str | None = None) -> RowSettled:
    """Row ``row`` with its outcome."""
    code = None if state is RowState.ACCEPTED else "BP404"
    outcome = Outcome(
        row=row, attempt=1, stage=Stage.PATCH, state=state, at_us=1, http_status=404, code=code, error=error,
        latency_us=1500,
    )  # fmt: skip
    return RowSettled(destination_id=f"dest-{row}", outcome=outcome)


def set_back(row: int, error: str = "no whole answer") -> RowSetBack:
    """Row ``row`` waits for another attempt."""
    setback = Setback(row=row, attempt=2, stage=Stage.PATCH, at_us=1, code="BP408", error=error, wait_us=250_000)
    return RowSetBack(destination_id=f"dest-{row}", setback=setback)


def sent(row: int) -> AttemptSent:
    """A request of row ``row`` left."""
    return AttemptSent(row=row, destination_id=f"dest-{row}", attempt=1, stage=Stage.PATCH)


def result(**changes: Any) -> RunResult:
    """How a run ended: with failed rows, unless said otherwise."""
    fields: dict[str, Any] = {
        "run_id": RUN,
        "folder": "reports/" + RUN,
        "status": "finished",
        "exit_code": 1,
        "snapshot": snapshot(total=6_033),
    }
    return RunResult(**{**fields, **changes})


def ended(**changes: Any) -> RunEnded:
    """The last event."""
    return RunEnded(result=result(**changes))


def progressed(**changes: Any) -> Progressed:
    """A look at the run."""
    return Progressed(snapshot=snapshot(**changes))


def notice(message: str = "the API asked to slow down") -> Notice:
    """Something a person should know."""
    return Notice(code="BP406", message=message)
