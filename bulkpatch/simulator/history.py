"""Transfers as the API shows them: made from the seed and their own id, never stored whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from bulkpatch.simulator.chance import digest, share, uuid

MODELS = ("accounts", "invoices", "events", "users")
"""What a destination with ``enabled_models = ["*"]`` transfers."""
ROWS_PER_MODEL_MAX = 65_536
"""Rows one model moves at most in one transfer; two bytes of a digest."""
_ROWS_PER_MB = 4_096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WINDOW_US = 3_600_000_000
_LAG_US = 1_000_000  # from the newest row of a source to the transfer that took it
_FAILED_SHARE = 0.1  # of the destinations' last transfers, so that reports have something to show


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One transfer, as little as its document can be made from. Times are wall time in microseconds."""

    id: str
    destination_id: str
    models: Sequence[str]
    submitted_us: int
    started_us: int
    ended_us: int
    broken: bool = False
    full_refresh: bool = False
    debug: bool = False
    tags: Mapping[str, Any] | None = None


def stamp(at_us: int) -> str:
    """Microseconds since 1970 as RFC 3339 in UTC."""
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def past_run(seed: int, destination_id: str, before_us: int) -> Run:
    """The transfer that ended last before the fleet was made, within the day before ``before_us``."""
    ended_us = before_us - int(share(seed, "ended", destination_id) * 86_400_000_000)
    took_us = 10_000_000 + int(share(seed, "took", destination_id) * 600_000_000)
    return Run(
        id=uuid(seed, "past", destination_id),
        destination_id=destination_id,
        models=MODELS[: 1 + digest(seed, "models", destination_id)[0] % len(MODELS)],
        submitted_us=ended_us - took_us - 1_000_000,
        started_us=ended_us - took_us,
        ended_us=ended_us,
        broken=share(seed, "failed", destination_id) < _FAILED_SHARE,
    )


def failure(message: str) -> dict[str, Any]:
    """The error object of failed transfers and connection tests."""
    return {
        "error": None,
        "error_code": "PRQL-PVER",
        "title": "Could not connect to the destination",
        "blame": "third_party",
        "documentation_url": "https://docs.prequel.co/docs/error-codes",
        "trace": "",
        "message": message,
    }


def document(run: Run, *, seed: int, now_us: int) -> dict[str, Any]:
    """``run`` as the API shows it at ``now_us``: PENDING, RUNNING, or ended in SUCCESS, PARTIAL_FAILURE or ERROR."""
    ended = now_us >= run.ended_us
    window = {
        "start_transfer_window_at": stamp(run.submitted_us - _WINDOW_US),
        "end_transfer_window_at": stamp(run.submitted_us),
    }
    metrics = [{**_metric(run, at, seed), **window} for at in range(len(run.models))] if ended else []
    shown: dict[str, Any] = {
        "id": run.id,
        "status": _status(run, now_us),
        "is_full_refresh": run.full_refresh,
        "models": list(run.models),
        "log": "",
        "submitted_at": window["end_transfer_window_at"],
        **window,
        "rows_transferred": sum(metric["rows_transferred"] for metric in metrics),
        "delta_rows_transferred": sum(metric["delta_rows_transferred"] for metric in metrics),
        "volume_transferred_in_mb": round(sum(metric["volume_transferred_in_mb"] for metric in metrics), 3),
        "is_debug_mode": run.debug,
        "actor_id": _name(seed, "actor", ""),
        "actor_type": "api_key",
        "source_ids": [_name(seed, "source", "")],
        "destination_id": run.destination_id,
        "model_metrics": metrics,
        "models_snapshot": [
            {
                "model_id": _name(seed, "model", model),
                "model_name": model,
                "revision_id": _name(seed, "revision", model),
            }
            for model in run.models
        ],
        "tags": dict(run.tags or {}),
    }
    if now_us >= run.started_us:
        shown["started_at"] = stamp(run.started_us)
    if ended:
        shown["ended_at"] = stamp(run.ended_us)
    return shown


def _status(run: Run, now_us: int) -> str:
    if now_us < run.ended_us:
        return "PENDING" if now_us < run.started_us else "RUNNING"
    if not run.broken:
        return "SUCCESS"
    return "ERROR" if len(run.models) == 1 else "PARTIAL_FAILURE"


@lru_cache(maxsize=1024)
def _name(seed: int, kind: str, name: str) -> str:
    """An id that many documents share."""
    return uuid(seed, kind, name)


def _metric(run: Run, at: int, seed: int) -> dict[str, Any]:
    """What the model at ``at`` moved; of a broken run the first model failed."""
    failed, model = run.broken and at == 0, run.models[at]
    drawn = int.from_bytes(digest(seed, "rows", run.id, model, size=4), "big")
    rows = 0 if failed else drawn % ROWS_PER_MODEL_MAX
    metric: dict[str, Any] = {
        "model_id": _name(seed, "model", model),
        "rows_transferred": rows,
        "delta_rows_transferred": rows // (1 + drawn // ROWS_PER_MODEL_MAX % 8),
        "volume_transferred_in_mb": round(rows / _ROWS_PER_MB, 3),
        "most_recent_last_updated_at": stamp(run.submitted_us - _LAG_US),
        "model_name": model,
    }
    if failed:
        metric["error"] = failure("The destination refused the sign-in.")
    return metric
