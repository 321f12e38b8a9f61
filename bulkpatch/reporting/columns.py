"""The columns of the report's tables, in their order. They are promised to users; see the column reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from bulkpatch.model import RowState

INSTANT: Final = pl.Datetime("us", "UTC")

FAILED: Final = (
    RowState.UNVERIFIED,
    RowState.REJECTED,
    RowState.EXHAUSTED,
    RowState.UNKNOWN,
    RowState.SKIPPED,
    RowState.NOT_ATTEMPTED,
)
"""The states that count as failed."""
DONE: Final = (RowState.PLANNED, RowState.ACCEPTED, RowState.VERIFIED, RowState.NOOP)
"""The states that count as done."""

LABEL_PREFIX: Final = "label_"

SEND: Final[dict[str, pl.DataType]] = {
    "row": pl.Int64(),
    "destination_id": pl.String(),
    "state": pl.String(),
    "stage": pl.String(),
    "wave": pl.Int32(),
    "attempts": pl.Int32(),
    "http_status": pl.Int32(),
    "error_code": pl.String(),
    "error": pl.String(),
    "fields": pl.List(pl.String()),
    "sent_at": INSTANT,
    "finished_at": INSTANT,
    "latency_ms": pl.Float64(),
}
"""What bulkpatch did with the row."""

REPLY: Final[dict[str, pl.DataType]] = {
    "vendor": pl.String(),
    "name": pl.String(),
    "recipient_id": pl.String(),
    "id_in_provider_system": pl.String(),
    "is_enabled": pl.Boolean(),
    "updated_at": INSTANT,
    "transfer_id": pl.String(),
    "transfer_status": pl.String(),
    "transfer_started_at": INSTANT,
    "transfer_ended_at": INSTANT,
    "transfer_seconds": pl.Float64(),
    "rows_transferred": pl.Int64(),
    "delta_rows_transferred": pl.Int64(),
    "volume_transferred_in_mb": pl.Float64(),
    "transfer_error_code": pl.String(),
    "transfer_error_blame": pl.String(),
    "total_rows_last_billing_period": pl.Int64(),
    "total_delta_rows_last_billing_period": pl.Int64(),
    "total_rows_current_billing_period": pl.Int64(),
}
"""What the API's last reply said of the destination; all null where there was none."""

MODELS: Final[dict[str, pl.DataType]] = {
    "destination_id": pl.String(),
    "row": pl.Int64(),
    "vendor": pl.String(),
    "transfer_id": pl.String(),
    "model_id": pl.String(),
    "model_name": pl.String(),
    "rows_transferred": pl.Int64(),
    "delta_rows_transferred": pl.Int64(),
    "volume_transferred_in_mb": pl.Float64(),
    "start_transfer_window_at": INSTANT,
    "end_transfer_window_at": INSTANT,
    "most_recent_last_updated_at": INSTANT,
    "error_code": pl.String(),
    "error_title": pl.String(),
    "error_blame": pl.String(),
    "error": pl.String(),
}
"""One row per destination and model of its last completed transfer."""


def outcome_schema(label_names: Sequence[str]) -> dict[str, pl.DataType]:
    """The columns of ``outcomes.parquet`` for a run with these labels."""
    return SEND | REPLY | {LABEL_PREFIX + name: pl.String() for name in label_names}
