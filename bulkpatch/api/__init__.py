"""The library's door. Nothing behind it prints or configures logging, and nothing is imported before it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bulkpatch.api.options import Options, Plan

if TYPE_CHECKING:
    from bulkpatch.api.books import control, credentials, rebuild_report, status
    from bulkpatch.api.diagnosing import Finding, diagnose
    from bulkpatch.api.doors import RETRIED, check, plan, resume, retry, run
    from bulkpatch.api.reconciling import reconcile
    from bulkpatch.api.reversing import reverse
    from bulkpatch.api.runfile import snapshot_of
    from bulkpatch.api.telling import Story, story
    from bulkpatch.engine.asking import ControlAct
    from bulkpatch.ledger.folder import list_runs

_HOMES = {
    "bulkpatch.api.doors": ("RETRIED", "check", "plan", "resume", "retry", "run"),
    "bulkpatch.api.books": ("control", "credentials", "rebuild_report", "status"),
    "bulkpatch.api.reconciling": ("reconcile",),
    "bulkpatch.api.runfile": ("snapshot_of",),
    "bulkpatch.api.reversing": ("reverse",),
    "bulkpatch.engine.asking": ("ControlAct",),
    "bulkpatch.api.diagnosing": ("Finding", "diagnose"),
    "bulkpatch.api.telling": ("Story", "story"),
    "bulkpatch.ledger.folder": ("list_runs",),
}
__all__ = [
    "RETRIED",
    "ControlAct",
    "Finding",
    "Options",
    "Plan",
    "Story",
    "check",
    "control",
    "credentials",
    "diagnose",
    "list_runs",
    "plan",
    "rebuild_report",
    "reconcile",
    "resume",
    "retry",
    "reverse",
    "run",
    "snapshot_of",
    "status",
    "story",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"bulkpatch.api has no {name}")
