"""A large run under faults: memory stays flat, and every row is sent as often as its report says."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from program_rig import Bench, Child
from program_target import Target

GROWTH_MAX = 1.2
"""Memory at the end of the sending over memory when a tenth was sent."""
LOOK_S = 0.1


def job_of(bench: Bench, url: str, rows: int, transport: str) -> Path:
    """A rename of every destination, faster than it can go."""
    names = pl.select(row=pl.int_range(rows)).select(
        destination_id=pl.format("d-{}", "row"), name=pl.format("Fleet {}", "row")
    )
    names.write_parquet(bench.folder / "fleet.parquet")
    return bench.write(
        "job.toml",
        f"""[job]
name = "large"
[api]
base_url = "{url}"
[input]
path = "fleet.parquet"
[send]
rate = "1000000/s"
concurrency = 32
timeout = "20s"
attempts = 10
transport = "{transport}"
[guard]
max_failed = "100%"
""",
    )


def resident_mib(pid: int) -> float:
    """What the kernel says of a process: resident memory that is its own."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), 0.0)


def watched(child: Child, target: Target) -> list[tuple[float, float]]:
    """Share of the rows that were begun, and memory, until all are."""
    seen: list[tuple[float, float]] = []
    while not child.gone and target.begun < target.rows:
        seen.append((target.begun / target.rows, resident_mib(child.pid)))
        time.sleep(LOOK_S)
    return seen


@pytest.mark.proves("G2", "G4", "G10", "G12")
@pytest.mark.parametrize(
    ("rows", "transport"), [(5_000, "httpx"), pytest.param(1_000_000, "curl", marks=pytest.mark.long)]
)
def test_memory_is_flat_and_every_row_is_counted_once(
    bench: Bench, rows: int, transport: str, cases: Callable[[int], None], said: Callable[[str], None]
) -> None:
    """All rows accepted, in input order; the server saw each as often as reported, and applied it."""
    with Target(rows) as target:
        job = job_of(bench, target.url, rows, transport)
        began_s = time.monotonic()
        child = bench.start("run", job, "--yes", "-q")
        seen = watched(child, target)
        sent_s = time.monotonic() - began_s
        ended = child.wait(900)
        took_s = time.monotonic() - began_s
        arrivals, effects = (pl.Series(list(one)) for one in (target.arrivals, target.effects))
    assert ended.code == 0, ended.err
    outcomes = bench.outcomes()
    assert outcomes["row"].to_list() == list(range(1, rows + 1))
    assert set(outcomes["state"]) == {"accepted"}
    assert (outcomes["attempts"] == arrivals).all()
    assert (effects >= 1).all()
    assert (arrivals > 1).sum() > rows * 0.01, "the faults struck nobody: the test shows nothing"
    early = max(mib for share, mib in seen if share <= 0.1)
    late = max(mib for share, mib in seen if share >= 0.9)
    said(
        f"{rows:,} rows, {arrivals.sum():,} sends in {sent_s:.0f} s, ended after {took_s:.0f} s;"
        f" {early:.0f} MiB at a tenth, {late:.0f} MiB at the end"
    )
    assert late <= early * GROWTH_MAX
    cases(rows)
