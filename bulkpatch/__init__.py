"""Bulk fleet updates for the Prequel Export API: planned, rate-limited, resumable, reported row by row.

The functions are those of ``bulkpatch.api.library``, the values those of ``bulkpatch.model`` and ``bulkpatch.errors``.
Nothing is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bulkpatch.api.library import (
        How,
        check,
        load_job,
        plan,
        plan_async,
        report,
        report_async,
        resume,
        resume_async,
        run,
        run_async,
    )
    from bulkpatch.api.options import Plan
    from bulkpatch.errors import BulkpatchError, InvalidInput, NotConfirmed
    from bulkpatch.job.spec import Job
    from bulkpatch.model import (
        AttemptSent,
        Event,
        GateVerdict,
        Notice,
        Progressed,
        RowSetBack,
        RowSettled,
        RowState,
        RunEnded,
        RunResult,
        RunStarted,
        WaveCounts,
    )
    from bulkpatch.reporting.write import ReportFiles

__version__ = "0.1.0"

__all__ = [
    "AttemptSent",
    "BulkpatchError",
    "Event",
    "GateVerdict",
    "How",
    "InvalidInput",
    "Job",
    "NotConfirmed",
    "Notice",
    "Plan",
    "Progressed",
    "ReportFiles",
    "RowSetBack",
    "RowSettled",
    "RowState",
    "RunEnded",
    "RunResult",
    "RunStarted",
    "WaveCounts",
    "check",
    "load_job",
    "plan",
    "plan_async",
    "report",
    "report_async",
    "resume",
    "resume_async",
    "run",
    "run_async",
]

_HOMES = {
    "BulkpatchError": "errors",
    "InvalidInput": "errors",
    "NotConfirmed": "errors",
    "Job": "job.spec",
    "Plan": "api.options",
    "ReportFiles": "reporting.write",
    **dict.fromkeys(
        (
            "AttemptSent", "Event", "GateVerdict", "Notice", "Progressed", "RowSetBack", "RowSettled", "RowState",
            "RunEnded", "RunResult", "RunStarted", "WaveCounts",
        ),
        "model",
    ),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'bulkpatch' has no attribute {name!r}")
    return getattr(import_module(f"bulkpatch.{_HOMES.get(name, 'api.library')}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
