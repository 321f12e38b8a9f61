"""What large inputs cost: check, seeding, resume, report and sending, and whether a row costs the same at any size.

No peer: the goals are absolute, and stand in the table. Memory is the peak that the kernel tells of each process.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from answering import Api, answering

# ruff: noqa: T201  (what it prints is its result)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """From the start of a process to its first PATCH: by the clock, and by its processor time."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledgered:
    """What a run with a ledger cost."""

    seeding: Cost
    seed_s: float
    size: int
    first: Begun
    resume: Begun
    report: Cost


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
def begun(command: Sequence[str], folder: Path, api: Api) -> Iterator[Begun]:
    """A process that is killed at the end, and what it took until its first PATCH came."""
    api.forget()
    began_s = time.monotonic()
    child = subprocess.Popen(command, cwd=folder, env={**os.environ, **ENV}, stderr=subprocess.DEVNULL)
    try:
        while not api.count:
            if child.poll() is not None or time.monotonic() > began_s + WAIT_S:
                raise SystemExit(f"{command} sent nothing: {child.returncode}")
            time.sleep(0.001)
        spent = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        cpu_s = (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")
        yield Begun(wall_s=api.first_s - began_s, cpu_s=cpu_s)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def with_ledger(folder: Path, api: Api, rows: int) -> Ledgered:
    """Seed; then run and kill, give half of the rows their outcomes, resume and kill; then give all, and report."""
    job = write_job(folder, api, rows)
    seeding = part(folder, "seed", job)
    found = json.loads(seeding.out)
    with begun(ours("run", "--yes", "-q", job), folder, api) as first:
        pass
    run = str(max((folder / "reports").iterdir()))
    part(folder, "fill", run, "0.5")
    resumes = []
    for _ in range(RESUMES):
        with begun(ours("resume", "--yes", "-q", run), folder, api) as resumed:
            resumes.append(resumed)
    part(folder, "fill", run, "1")
    return Ledgered(
        seeding=seeding,
        seed_s=found["seconds"],
        size=found["bytes"],
        first=first,
        resume=sorted(resumes, key=lambda one: one.wall_s)[RESUMES // 2],
        report=measured(ours("report", run), folder, codes=(0, 1)),
    )


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


def line(rows: int, what: str, wall_s: float, cpu_s: float, peak_mib: float | None = None) -> None:
    """Print one line of the curve."""
    peak = "" if peak_mib is None else f"{peak_mib:.0f}"
    print(f"| {what} | {rows:,} | {wall_s:.2f} | {cpu_s:.2f} | {cpu_s / rows * 1e6:.1f} | {peak} |", flush=True)


def curve(folder: Path, api: Api, most: int) -> None:
    """Print each step at each size."""
    print("| what | rows | wall s | CPU s | CPU µs a row | peak MiB |\n|---|---|---|---|---|---|")
    for rows in SIZES:
        if rows > most:
            break
        cost = measured(ours("check", write_job(folder, api, rows)), folder)
        line(rows, "`check`", cost.wall_s, cost.cpu_s, cost.peak_mib)
        if rows > LEDGER_ROWS_MAX:
            continue
        found = with_ledger(folder, api, rows)
        name = f"check and seeding: {found.size / rows:.0f} bytes a row, {found.seed_s:.2f} s for the ledger"
        line(rows, name, found.seeding.wall_s, found.seeding.cpu_s, found.seeding.peak_mib)
        line(rows, "`run` to its first request", found.first.wall_s, found.first.cpu_s)
        line(rows, "`resume`, half done, to its first request", found.resume.wall_s, found.resume.cpu_s)
        line(rows, "`report`", found.report.wall_s, found.report.cpu_s, found.report.peak_mib)


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
