"""A whole run of the real program: every row accepted over a rough API, and reported as was promised."""

from __future__ import annotations

import polars as pl
import pytest
from program_rig import CUSTOMERS, Bench, check_rate, check_renamed, fleet_of, serving, writes

INSTANT = pl.Datetime("us", "UTC")
COLUMNS = {
    "row": pl.Int64,
    "destination_id": pl.String,
    "state": pl.String,
    "stage": pl.String,
    "wave": pl.Int32,
    "attempts": pl.Int32,
    "http_status": pl.Int32,
    "error_code": pl.String,
    "error": pl.String,
    "fields": pl.List(pl.String),
    "sent_at": INSTANT,
    "finished_at": INSTANT,
    "latency_ms": pl.Float64,
    "vendor": pl.String,
    "name": pl.String,
    "recipient_id": pl.String,
    "id_in_provider_system": pl.String,
    "is_enabled": pl.Boolean,
    "updated_at": INSTANT,
    "transfer_id": pl.String,
    "transfer_status": pl.String,
    "transfer_started_at": INSTANT,
    "transfer_ended_at": INSTANT,
    "transfer_seconds": pl.Float64,
    "rows_transferred": pl.Int64,
    "delta_rows_transferred": pl.Int64,
    "volume_transferred_in_mb": pl.Float64,
    "transfer_error_code": pl.String,
    "transfer_error_blame": pl.String,
    "total_rows_last_billing_period": pl.Int64,
    "total_delta_rows_last_billing_period": pl.Int64,
    "total_rows_current_billing_period": pl.Int64,
    "label_customer": pl.String,
}
"""What section 4 of the contract says of ``outcomes.parquet``, for a job with one label."""
REPORT = {"outcomes.parquet", "models.parquet", "failures.csv", "summary.md", "report.html"}
FILES = REPORT | {"ledger.sqlite", "run.json", "log.jsonl"}


def check_rough_run(bench: Bench, *, rows: int, rate: int) -> None:
    """Run ``rows`` over faults of seven kinds, and hold everything against the server and the contract."""
    fleet = fleet_of(rows)
    with serving(fleet, "rough") as server:
        job = bench.renaming(fleet, server.url, rate=f"{rate}/s", concurrency=16)
        ended = bench.start("run", job, "--yes").wait(rows)  # seconds; it takes a thirtieth where nothing else runs
    assert (ended.code, ended.out) == (0, "")
    faults = {arrival.fault for arrival in fleet.arrivals if arrival.fault}
    assert len(faults) >= (7 if rows >= 600 else 5)
    check_renamed(fleet)
    check_rate(fleet, rate, delay_s=bench.ledger().latency_s_max)
    found = bench.outcomes()
    assert dict(found.schema) == COLUMNS
    assert list(found.schema) == list(COLUMNS)
    assert found["row"].to_list() == list(range(1, rows + 1))
    assert found["destination_id"].to_list() == list(fleet.ids)
    assert set(found["state"]) == {"accepted"}
    assert set(found["stage"]) == {"patch"}
    assert found["name"].to_list() == [f"Fleet {number:04d}" for number in range(1, rows + 1)]
    assert found["label_customer"].to_list() == [CUSTOMERS[number % 4] for number in range(rows)]
    assert found["attempts"].sum() == len(writes(fleet))
    assert (found["sent_at"] <= found["finished_at"]).all()
    assert bench.stands()["counts"] == {"accepted": rows}


@pytest.mark.proves("G10")
def test_every_row_is_accepted_over_a_rough_api(bench: Bench) -> None:
    """A quarter of the attempts go wrong: exit 0, the server holds the plan, the rate holds, the report is whole."""
    check_rough_run(bench, rows=80, rate=80)
    assert {path.name for path in bench.latest.iterdir()} >= FILES
    for path in bench.latest.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path.name
    assert bench.latest.stat().st_mode & 0o777 == 0o700


@pytest.mark.long
def test_six_hundred_rows_at_two_hundred_a_second(bench: Bench) -> None:
    """The same at 600 rows and 200/s, with all seven kinds of fault."""
    check_rough_run(bench, rows=600, rate=200)
