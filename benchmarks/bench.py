"""Runs every benchmark beside its peer, alternating, and prints medians as a Markdown table."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 5
ROWS = 2_000
CONCURRENCY = 8
MILLION = 1_000_000
KEY = "sk_staging_" + "benchmark"
HERE = Path(__file__).parent
PYTHON = sys.executable
JOB = """[job]
name = "bench"
[input]
path = "{path}"
[send]
rate = "1000000/s"
concurrency = {concurrency}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one child took: seconds of wall and processor time, and its memory at most."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def run(command: Sequence[str], folder: Path, env: dict[str, str] | None = None) -> Cost:
    """Run a child to its end; it must succeed."""
    began_s = time.monotonic()
    whole_env = {**os.environ, **(env or {})}
    child = subprocess.Popen(command, cwd=folder, env=whole_env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall_s = time.monotonic() - began_s
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command} ended with {child.returncode}")
    return Cost(wall_s=wall_s, cpu_s=used.ru_utime + used.ru_stime, peak_mib=used.ru_maxrss / 1024)


def median(costs: Sequence[Cost], of: Callable[[Cost], float]) -> float:
    """The middle one."""
    return statistics.median(map(of, costs))


def sending(folder: Path) -> list[str]:
    """A whole run, and its fixed cost, against a bare loop; both against one simulator on another core."""
    ids = [f"dest-{number:06d}" for number in range(ROWS)]
    (folder / "ids").write_text("\n".join(ids), encoding="utf-8")
    for name, count in (("all", ROWS), ("one", 1)):
        lines = [f"{one},Fleet {number}" for number, one in enumerate(ids[:count])]
        (folder / f"{name}.csv").write_text("destination_id,name\n" + "\n".join(lines) + "\n", encoding="utf-8")
        (folder / f"{name}.toml").write_text(JOB.format(path=f"{name}.csv", concurrency=CONCURRENCY), encoding="utf-8")
    env = {"PREQUEL_API_KEY": KEY, "BULKPATCH_SIM_KEY": KEY}
    costs: dict[str, list[Cost]] = {"bare": [], "all": [], "one": []}
    for turn in range(ROUNDS):
        port = 18_900 + turn
        url = f"http://127.0.0.1:{port}"
        serve = [PYTHON, "-m", "bulkpatch", "sim", "--ids", "ids", "--port", str(port)]
        server = subprocess.Popen(serve, cwd=folder, env={**os.environ, **env}, stderr=subprocess.DEVNULL)
        try:
            time.sleep(2)
            ours = [PYTHON, "-m", "bulkpatch", "run", "--yes", "-q", "--base-url", url]
            costs["bare"].append(
                run([PYTHON, str(HERE / "peers" / "httpx_loop.py"), url, KEY, "ids", str(CONCURRENCY), "each"], folder)
            )
            costs["all"].append(run([*ours, "all.toml"], folder, env))
            costs["one"].append(run([*ours, "one.toml"], folder, env))
        finally:
            server.kill()
            server.wait()
    bare, whole, fixed = (median(costs[name], lambda cost: cost.cpu_s) for name in ("bare", "all", "one"))
    per_thousand, ours_s = 1000 / ROWS, whole - fixed
    return [
        f"| CPU per 1,000 PATCHes, bare httpx loop | {bare * per_thousand:.2f} s | 1 |",
        f"| the same: planned, durable, limited, reported | {ours_s * per_thousand:.2f} s | {ours_s / bare:.2f} |",
        f"| fixed cost of such a run (start, plan, report) | {fixed:.2f} s | |",
    ]


def checking(folder: Path) -> list[str]:
    """``check`` of a million rows with three overrides."""
    import polars as pl  # noqa: PLC0415  (a child begins with the memory of its parent, and is measured with it)

    number = pl.col("number")
    pl.DataFrame({"number": range(MILLION)}).select(
        destination_id=pl.format("dest-{}", number.cast(pl.String).str.zfill(10)),
        name=pl.format("Fleet {}", number),
        is_enabled=number % 2 == 0,
        max_concurrent_transfers=number % 7 + 1,
    ).write_parquet(folder / "million.parquet")
    (folder / "million.toml").write_text(JOB.format(path="million.parquet", concurrency=1), encoding="utf-8")
    costs = [run([PYTHON, "-m", "bulkpatch", "check", "million.toml"], folder) for _ in range(3)]
    wall_s, peak_mib = median(costs, lambda cost: cost.wall_s), max(cost.peak_mib for cost in costs)
    return [f"| `check` of 1,000,000 rows, three overrides | {wall_s:.1f} s, {peak_mib:.0f} MiB | |"]


def helping(folder: Path) -> list[str]:
    """The time of ``--help``."""
    costs = [run([PYTHON, "-m", "bulkpatch", "--help"], folder) for _ in range(9)]
    return [f"| `bulkpatch --help` | {median(costs, lambda cost: cost.wall_s) * 1000:.0f} ms | |"]


def main() -> None:
    """Print the table."""
    lines = ["| what | median | ratio to the peer |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as made:
        for suite in (helping, checking, sending):
            lines += suite(Path(made))
    print("\n".join(lines))  # noqa: T201  (its result)


if __name__ == "__main__":
    main()
