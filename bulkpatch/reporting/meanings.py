"""What the words of a report mean: states, and the columns of its tables. The reference for users is made of this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bulkpatch.model import RowState

STATES: Final[Mapping[RowState, str]] = {
    RowState.PENDING: "not sent yet, or to be sent again; only while a run is unfinished",
    RowState.IN_FLIGHT: "its intent is on the disk, its answer is not; only while a run is unfinished",
    RowState.PLANNED: "dry run only: it would be sent",
    RowState.ACCEPTED: "2xx and the answer's status is success; nothing more was asked",
    RowState.VERIFIED: "accepted, and what `[verify]` asked for was confirmed",
    RowState.NOOP: "the live state has every value already and nothing write-only is set; not sent",
    RowState.UNVERIFIED: "accepted, but verification failed or ran out of time",
    RowState.REJECTED: "refused for good: a 4xx, a failed test before the patch, a body that cannot be built",
    RowState.EXHAUSTED: "attempts ran out, and none of them can have applied it",
    RowState.UNKNOWN: "attempts ran out or the run ended for good, and one of them may have applied it",
    RowState.SKIPPED: "a guard of the row did not hold, or its destination changed since the plan; not sent",
    RowState.NOT_ATTEMPTED: "the run stopped before this row; `bulkpatch resume` sends it",
}

OUTCOME_COLUMNS: Final[Mapping[str, str]] = {
    "row": "row of the input; 1 is the first row of data",
    "destination_id": "the destination, byte for byte as in the input",
    "state": "where the row ended",
    "stage": "the step it ended in: expect, pretest, patch or verify",
    "wave": "its wave; 1 without waves",
    "attempts": "requests that were sent for it",
    "http_status": "of the last answer; null without one",
    "error_code": "ours, stable: see the error codes",
    "error": "what went wrong, free of secrets",
    "fields": "paths that its body sets",
    "sent_at": "when its first request left",
    "finished_at": "when it reached its state",
    "latency_ms": "of its last attempt",
    "vendor": "as the last answer said",
    "name": "as the last answer said",
    "recipient_id": "as the last answer said",
    "id_in_provider_system": "as the last answer said",
    "is_enabled": "as the last answer said",
    "updated_at": "when the API last changed it",
    "transfer_id": "the destination's last transfer as of the answer; no effect of the patch, nor are the next ones",
    "transfer_status": "how that transfer stands",
    "transfer_started_at": "when it started",
    "transfer_ended_at": "when it ended",
    "transfer_seconds": "how long it took",
    "rows_transferred": "rows it carried",
    "delta_rows_transferred": "delta rows, as the API counts them",
    "volume_transferred_in_mb": "how much it carried",
    "transfer_error_code": "the API's code, if it failed",
    "transfer_error_blame": "whom the API lays the failure to",
    "total_rows_last_billing_period": "as the last answer said",
    "total_delta_rows_last_billing_period": "as the last answer said",
    "total_rows_current_billing_period": "as the last answer said",
}

MODEL_COLUMNS: Final[Mapping[str, str]] = {
    "destination_id": "the destination",
    "row": "row of the input",
    "vendor": "as the last answer said",
    "transfer_id": "the last completed transfer",
    "model_id": "the model",
    "model_name": "its name",
    "rows_transferred": "rows of the model",
    "delta_rows_transferred": "delta rows, as the API counts them",
    "volume_transferred_in_mb": "how much of it was carried",
    "start_transfer_window_at": "from when on data was taken",
    "end_transfer_window_at": "up to when data was taken",
    "most_recent_last_updated_at": "the newest change among the rows",
    "error_code": "the API's code, if the model failed",
    "error_title": "its title",
    "error_blame": "whom the API lays the failure to",
    "error": "what went wrong, free of secrets",
}
