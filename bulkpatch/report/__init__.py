"""Ledger → frames → files."""

from bulkpatch.report.failures import Cells, CellSource
from bulkpatch.report.frames import Finality, finality, model_frames, outcome_frames
from bulkpatch.report.glance import overview
from bulkpatch.report.group import grouped
from bulkpatch.report.tables import Form, export
from bulkpatch.report.write import ReportFiles, write_report

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
    "write_report",
]
