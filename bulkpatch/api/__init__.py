"""The library's door. Nothing behind it prints or configures logging, and nothing is imported before it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bulkpatch.api.options import Options, Plan

if TYPE_CHECKING:
    from bulkpatch.api.doors import RETRIED, check, list_runs, plan, rebuild_report, resume, retry, run, status, story

__all__ = [
    "RETRIED",
    "Options",
    "Plan",
    "check",
    "list_runs",
    "plan",
    "rebuild_report",
    "resume",
    "retry",
    "run",
    "status",
    "story",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"bulkpatch.api has no {name}")
    return getattr(import_module("bulkpatch.api.doors"), name)
