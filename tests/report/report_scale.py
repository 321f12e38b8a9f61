"""Write the report of a large run and print what it took. Arguments: a folder, rows, models per destination."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from report_fakes import Blind, ListLedger, outcome_row

from bulkpatch.model import OutcomeRow, RowState
from bulkpatch.prequel.facts import Facts, ModelFacts, encode_facts
from bulkpatch.reporting import write_report

START = datetime(2026, 1, 1, tzinfo=UTC)
VENDORS = ("postgres", "snowflake", "bigquery", "s3", "redshift")
FAILED_EVERY = 50


def facts(row: int, models: int) -> bytes:
    """Facts as large as real ones, no two alike."""
    times = [(START + timedelta(microseconds=row * 1_000_003 + n)).isoformat()[:26] + "Z" for n in range(6)]
    metric = ModelFacts(
        model_id=f"{row:036d}",
        model_name="orders",
        start_transfer_window_at=times[3],
        end_transfer_window_at=times[4],
        most_recent_last_updated_at=times[5],
        rows_transferred=row * 7,
        delta_rows_transferred=row,
        volume_transferred_in_mb=row / 7,
    )
    return encode_facts(
        Facts(
            vendor=VENDORS[row % len(VENDORS)],
            name=f"Destination of customer {row}",
            recipient_id=f"{row:036d}",
            id_in_provider_system=f"customer-{row}",
            is_enabled=True,
            updated_at=times[0],
            transfer_id=f"{row + 1:036d}",
            transfer_status="SUCCESS",
            transfer_started_at=times[1],
            transfer_ended_at=times[2],
            total_rows_last_billing_period=row * 70,
            total_delta_rows_last_billing_period=row * 10,
            total_rows_current_billing_period=row * 50,
            rows_transferred=row * 7,
            delta_rows_transferred=row,
            volume_transferred_in_mb=row / 7,
            models=(metric,) * models,
        )
    )


@dataclass
class LargeLedger(ListLedger):
    """Rows made when they are asked for; ``making_s`` is what that took, for the real ledger's share is its own."""

    size: int = 0
    models: int = 0
    making_s: float = 0.0

    def counts(self) -> Mapping[RowState, int]:
        """One row in fifty was rejected."""
        failed = self.size // FAILED_EVERY
        return {RowState.ACCEPTED: self.size - failed, RowState.REJECTED: failed}

    def outcome_rows(self, batch: int = 50_000) -> Iterator[Sequence[OutcomeRow]]:
        """All rows."""
        for first in range(1, self.size + 1, batch):
            start = time.monotonic()
            rows = [self._row(row) for row in range(first, min(first + batch, self.size + 1))]
            self.making_s += time.monotonic() - start
            yield rows

    def _row(self, row: int) -> OutcomeRow:
        identity = f"{row:036d}"
        if row % FAILED_EVERY == 0:
            state, error = RowState.REJECTED, f"field {row % 5} is invalid"
            return outcome_row(row, state, destination_id=identity, code="BP401", error=error, labels=["acme", "eu"])
        return outcome_row(row, destination_id=identity, facts=facts(row, self.models), labels=["acme", "eu"])


def main(folder: str, rows: int, models: int) -> None:
    """Write, and print seconds (without the making of rows) and the peak of memory in MiB."""
    ledger = LargeLedger([], labels=("customer", "region"), size=rows, models=models)

    def cells(wanted: Sequence[int]) -> tuple[Sequence[str], Iterator[tuple[int, Sequence[str]]]]:
        return ["destination_id", "customer"], ((row, (f"{row:036d}", "acme")) for row in wanted)

    start = time.monotonic()
    write_report(ledger, Path(folder), redactor=Blind(), cells=cells)
    seconds = time.monotonic() - start - ledger.making_s
    sys.stdout.write(f"{seconds:.2f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
