"""What large inputs cost: check, seeding, resume, report and sending, and whether a row costs the same at any size.

No peer: the goals are absolute, and stand in the table. Memory is the peak that the kernel tells of each process.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from answering import Api, answering

HERE = Path(__file__).parent
PYTHON = sys.executable
KEY = "sk_staging_" + "benchmark"
ENV = {"PREQUEL_API_KEY": KEY}
JOB = """[job]
name = "scale"
[api]
base_url = "{url}"
[input]
path = "{rows}.parquet"
[send]
rate = "1000000/s"
concurrency = 64
transport = "{transport}"
[guard]
max_failed = "100%"
"""
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
LEDGER_ROWS_MAX = 1_000_000
MILLION = 1_000_000
RESUMES = 3
LOOK_S = 0.05
WAIT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one process took."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    out: str = ""


def measured(command: Sequence[str], folder: Path, *, codes: Sequence[int] = (0,)) -> Cost:
    """Run ``command`` to its end, which must be one of ``codes``."""
    figures = folder / "figures.json"
    whole = [PYTHON, "-I", "-S", str(HERE / "measured.py"), str(figures), *command]
    ended = subprocess.run(whole, cwd=folder, env={**os.environ, **ENV}, capture_output=True, text=True, check=False)
    if ended.returncode not in codes:
        raise SystemExit(f"{command} ended with {ended.returncode}: {ended.stderr}")
    return Cost(**json.loads(figures.read_text()), out=ended.stdout)


def part(folder: Path, *arguments: str) -> Cost:
    """One of the processes of ``large.py``."""
    return measured([PYTHON, str(HERE / "large.py"), *arguments], folder)


def ours(*arguments: str) -> list[str]:
    """A command of the program."""
    return [PYTHON, "-m", "bulkpatch", *arguments]


def write_job(folder: Path, api: Api, rows: int, *, transport: str = "httpx") -> str:
    """The name of a job of so many rows; its input is made if it is not there."""
    if not (folder / f"{rows}.parquet").exists():
        part(folder, "input", f"{rows}.parquet", str(rows))
    name = f"{transport}-{rows}.toml"
    (folder / name).write_text(JOB.format(url=api.url, rows=rows, transport=transport), encoding="utf-8")
    return name


@contextmanager
def begun(command: Sequence[str], folder: Path, api: Api) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A process that is killed at the end, and the seconds from its start until its first PATCH came."""
    api.forget()
    began_s = time.monotonic()
    child = subprocess.Popen(command, cwd=folder, env={**os.environ, **ENV}, stderr=subprocess.DEVNULL)
    try:
        while not api.count:
            if child.poll() is not None or time.monotonic() > began_s + WAIT_S:
                raise SystemExit(f"{command} sent nothing: {child.returncode}")
            time.sleep(0.001)
        yield child, api.first_s - began_s
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def with_ledger(folder: Path, api: Api, rows: int) -> Mapping[str, Cost | float]:
    """Seed; then run and kill, give half of the rows their outcomes, resume and kill; then give all, and report."""
    job = write_job(folder, api, rows)
    seeding = part(folder, "seed", job)
    found = json.loads(seeding.out)
    with begun(ours("run", "--yes", "-q", job), folder, api) as (_, first_s):
        pass
    run = str(max((folder / "reports").iterdir()))
    part(folder, "fill", run, "0.5")
    resumes = []
    for _ in range(RESUMES):
        with begun(ours("resume", "--yes", "-q", run), folder, api) as (_, resumed_s):
            resumes.append(resumed_s)
    part(folder, "fill", run, "1")
    report = measured(ours("report", run), folder, codes=(0, 1))
    return {
        "seeding": seeding,
        "seed_s": found["seconds"],
        "bytes": found["bytes"],
        "first_s": first_s,
        "resume_s": statistics.median(resumes),
        "report": report,
    }


def sending(folder: Path, api: Api, rows: int) -> str:
    """A whole run over curl: the peak of its memory before the first request, while it sends, and after the last."""
    job = write_job(folder, api, rows, transport="curl")
    peaks = {"before": 0.0, "sending": 0.0, "after": 0.0}
    api.forget()
    child = subprocess.Popen(
        ours("run", "--yes", "-q", job), cwd=folder, env={**os.environ, **ENV}, stderr=subprocess.DEVNULL
    )
    began_s = time.monotonic()
    while child.poll() is None:
        count = api.count
        phase = "before" if not count else "sending" if count < rows else "after"
        peaks[phase] = max(peaks[phase], resident_mib(child.pid))
        time.sleep(LOOK_S)
    if child.returncode:
        raise SystemExit(f"the run of {rows} rows ended with {child.returncode}")
    seconds = time.monotonic() - began_s
    return f"| {rows:,} | {seconds:.0f} s | " + " | ".join(f"{peak:.0f}" for peak in peaks.values()) + " |"


def resident_mib(pid: int) -> float:
    """Resident memory of a process, shared libraries included."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def line(rows: int, what: str, seconds: float, peak_mib: float) -> str:
    """One line of the curve."""
    return f"| {what} | {rows:,} | {seconds:.2f} s | {seconds / rows * 1e6:.2f} | {peak_mib:.0f} |"


def curve(folder: Path, api: Api, most: int) -> None:
    """Print each step at each size."""
    print("| what | rows | wall | µs a row | peak MiB |\n|---|---|---|---|---|")
    for rows in SIZES:
        if rows > most:
            break
        cost = measured(ours("check", write_job(folder, api, rows)), folder)
        print(line(rows, "`check`", cost.wall_s, cost.peak_mib), flush=True)
        if rows > LEDGER_ROWS_MAX:
            continue
        found = with_ledger(folder, api, rows)
        seeding, report = found["seeding"], found["report"]
        print(line(rows, "seeding", found["seed_s"], seeding.peak_mib))
        print(f"| ledger | {rows:,} | | {found['bytes'] / rows:.0f} bytes a row | |")
        print(f"| `run` to its first request | {rows:,} | {found['first_s']:.2f} s | | |")
        print(f"| `resume`, half done, to its first request | {rows:,} | {found['resume_s']:.2f} s | | |")
        print(line(rows, "`report`", report.wall_s, report.peak_mib), flush=True)


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=SIZES[-1], help="the largest input")
    options.add_argument("--send", type=int, nargs="*", default=[], help="also whole runs of so many rows each")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as made, answering() as api:
        folder = Path(made)
        if given.rows:
            curve(folder, api, given.rows)
        if given.send:
            print("\n| rows | a whole run | MiB before | while it sends | after |\n|---|---|---|---|---|")
        for rows in given.send:
            print(sending(folder, api, rows), flush=True)


if __name__ == "__main__":
    main()
