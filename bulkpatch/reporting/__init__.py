"""Ledger → frames → files."""

from bulkpatch.reporting.failures import Cells, CellSource
from bulkpatch.reporting.frames import Finality, finality, model_frames, outcome_frames
from bulkpatch.reporting.glance import overview, with_failures
from bulkpatch.reporting.group import grouped
from bulkpatch.reporting.tables import Form, export
from bulkpatch.reporting.write import ReportFiles, write_report

__all__ = [
    "CellSource",
    "Cells",
    "Finality",
    "Form",
    "ReportFiles",
    "export",
    "finality",
    "grouped",
    "model_frames",
    "outcome_frames",
    "overview",
    "with_failures",
    "write_report",
]
