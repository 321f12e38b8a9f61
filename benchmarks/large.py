"""The parts of ``scale.py`` that take memory, each a process of its own: ``input``, ``seed`` and ``fill``."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from bulkpatch.api.opened import check_rows, open_job
from bulkpatch.api.options import Options
from bulkpatch.api.starting import header_of
from bulkpatch.engine.system import SystemClock
from bulkpatch.ledger.opening import FILE, create, open_ledger
from bulkpatch.model import Intent, Outcome, Record, RowState, Stage
from bulkpatch.prequel.facts import Facts, ModelFacts, encode_facts

COMMIT_ROWS = 1_000
ROW_US = 250
"""Between two rows: 4,000 a second."""
LATENCY_US = 10_000
VENDORS = ("postgres", "snowflake", "bigquery", "s3", "redshift")
FAILED_EVERY = 50
WHEN = "2026-01-01T00:00:00.123456Z"


def write_input(path: Path, rows: int) -> None:
    """Ids that do not compress, and three overrides."""
    for first in range(0, rows, 1_000_000):
        number = pl.int_range(first, min(first + 1_000_000, rows)).alias("number")
        odd = pl.col("number").hash(1)
        frame = pl.select(number).select(
            destination_id=pl.format("{}-{}", odd, pl.col("number")),
            name=pl.format("Fleet {}", "number"),
            is_enabled=pl.col("number") % 2 == 0,
            max_concurrent_transfers=pl.col("number") % 7 + 1,
        )
        frame.write_parquet(path.with_name(f"{path.stem}-{first:010d}.part"))
    parts = sorted(path.parent.glob(f"{path.stem}-*.part"))
    pl.scan_parquet(parts, glob=False).sink_parquet(path)
    for part in parts:
        part.unlink()


def seed(job: Path) -> None:
    """Print, as JSON, what it takes to check the job's rows and to make a ledger of them, and its size."""
    clock = SystemClock()
    options = Options(
        clock=clock, environ=dict(os.environ), draw=random.SystemRandom().random, report_dir=job.parent / "seeded"
    )
    opened = open_job(job, options)
    found = check_rows(opened)
    with TemporaryDirectory(dir=job.parent) as made:
        began_s = clock.monotonic()
        header = header_of(opened, options, run_id="seeded", rows=found.rows)
        ledger = create(Path(made), header, opened.rows.seed_rows())
        seconds = clock.monotonic() - began_s
        ledger.close()
        size = (Path(made) / FILE).stat().st_size
    print(json.dumps({"seconds": seconds, "bytes": size}))  # noqa: T201  (its result)


def fill(folder: Path, share: float) -> None:
    """Give the first rows of the run, up to ``share`` of them, their intents and outcomes, as if sent until now."""
    ledger = open_ledger(folder)
    total = ledger.header().rows
    end = round(total * share)
    began_us, now_s = time.time_ns() // 1000 - end * ROW_US, time.monotonic()
    for first in range(1, end + 1, COMMIT_ROWS):
        pending = ledger.pending_between(first, min(first + COMMIT_ROWS - 1, end))
        records: list[Record] = []
        for one in pending:
            at_us = began_us + one.row * ROW_US
            records += _sent(one.row, one.attempt + 1, at_us, now_s - (end - one.row) * ROW_US / 1e6)
        ledger.commit(records)
    ledger.close()


def _sent(row: int, attempt: int, at_us: int, at_s: float) -> Iterator[Record]:
    yield Intent(row=row, attempt=attempt, stage=Stage.PATCH, at_us=at_us, at_s=at_s)
    failed = row % FAILED_EVERY == 0
    yield Outcome(
        row=row,
        attempt=attempt,
        stage=Stage.PATCH,
        state=RowState.REJECTED if failed else RowState.ACCEPTED,
        at_us=at_us + LATENCY_US + row % 97 * 100,
        http_status=400 if failed else 200,
        code="BP401" if failed else None,
        error=f"field {row % 5} is invalid" if failed else None,
        latency_us=LATENCY_US + row % 97 * 100,
        facts=None if failed else _facts(row),
    )


def _facts(row: int) -> bytes:
    """Two models a destination, as large as real ones, no two alike."""
    metrics = tuple(
        ModelFacts(
            model_id=f"{row:034d}-{model}",
            model_name=f"orders_{model}",
            rows_transferred=row * 7,
            delta_rows_transferred=row,
            volume_transferred_in_mb=row / 7,
            start_transfer_window_at=WHEN,
            end_transfer_window_at=WHEN,
            most_recent_last_updated_at=WHEN,
        )
        for model in range(2)
    )
    return encode_facts(
        Facts(
            vendor=VENDORS[row % len(VENDORS)],
            name=f"Fleet {row}",
            recipient_id=f"{row:036d}",
            id_in_provider_system=f"customer-{row}",
            is_enabled=True,
            updated_at=WHEN,
            transfer_id=f"{row + 1:036d}",
            transfer_status="SUCCESS",
            transfer_started_at=WHEN,
            transfer_ended_at=WHEN,
            rows_transferred=row * 14,
            delta_rows_transferred=row * 2,
            volume_transferred_in_mb=row / 3.5,
            models=metrics,
        )
    )


def main() -> None:
    """``input FILE ROWS``, ``seed JOB`` or ``fill FOLDER SHARE``."""
    match sys.argv[1:]:
        case ["input", path, rows]:
            write_input(Path(path), int(rows))
        case ["seed", job]:
            seed(Path(job))
        case ["fill", folder, share]:
            fill(Path(folder), float(share))
        case _:
            raise SystemExit(main.__doc__)


if __name__ == "__main__":
    main()
