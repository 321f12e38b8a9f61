"""How near a run keeps to its rate: the share of it that is reached, the fullest second, what pacing costs, the memory.

Two witnesses: the ledger, by which a request left when its answer came less its latency, and nginx's own log. The run
has one core and nginx the other. Pacing costs what a paced run takes more than one of as many rows that nothing holds
back, as a share of a core.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench import KEY, PYTHON, Cost, run
from target import serving

CASES = (("httpx", 10, 30), ("httpx", 100, 20), ("curl", 1_000, 15), ("curl", 3_000, 10))
"""Transport, requests per second, seconds."""
ROUNDS = 3
EDGE_S = 1.0
"""Seconds at either end that are not looked at: the first request goes alone."""
LEFT = "SELECT at_us - latency_us FROM outcome ORDER BY 1"
JOB = """[job]
name = "fidelity"
[input]
path = "{rows}.csv"
[api]
base_url = "{url}"
[send]
rate = "{rate}/s"
concurrency = 64
transport = "{transport}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One paced run: share of its rate, the fullest second as requests left and as they came, share of a core, MiB."""

    reached: float
    most_left: int
    most_came: int
    pacing: float
    peak_mib: float


def fullest(times_s: Sequence[float]) -> int:
    """The most that lie in any half-open second."""
    first, most = 0, 0
    for at, time_s in enumerate(times_s):
        while times_s[first] <= time_s - 1.0:
            first += 1
        most = max(most, at - first + 1)
    return most


def reached(times_s: Sequence[float], rate: int) -> float:
    """What was reached of ``rate`` between the edges."""
    inner = [one for one in times_s if times_s[0] + EDGE_S <= one <= times_s[-1] - EDGE_S]
    return (len(inner) - 1) / (inner[-1] - inner[0]) / rate


def sent(folder: Path, job: str) -> tuple[Cost, list[float]]:
    """Run ``job``: what it cost, and when its requests left by the ledger."""
    env = {"PREQUEL_API_KEY": KEY, "BULKPATCH_REPORT_DIR": f"{job}-reports"}
    cost = run(["taskset", "-c", "0", PYTHON, "-m", "bulkpatch", "run", "--yes", "-q", f"{job}.toml"], folder, env)
    (ledger,) = (folder / f"{job}-reports").glob("*/ledger.sqlite")
    with closing(sqlite3.connect(ledger)) as db:
        times_s = [left_us / 1e6 for (left_us,) in db.execute(LEFT)]
    ledger.parent.rename(folder / f"{job}-{ledger.parent.name}")
    return cost, times_s


def one_round(folder: Path, log: Path, transport: str, rate: int, seconds: int) -> Seen:
    """A run at ``rate``, and one that nothing holds back."""
    free, _ = sent(folder, f"{transport}-{rate}-free")
    before = log.stat().st_size
    cost, left_s = sent(folder, f"{transport}-{rate}")
    came_s = _log_of(log, before, rate * seconds)
    return Seen(
        reached=reached(left_s, rate),
        most_left=fullest(left_s),
        most_came=fullest(came_s),
        pacing=(cost.cpu_s - free.cpu_s) / (left_s[-1] - left_s[0]),
        peak_mib=cost.peak_mib,
    )


def _log_of(log: Path, begin: int, count: int) -> list[float]:
    """The last ``count`` times after ``begin``, once nginx has written them."""
    for _ in range(50):
        times_s = [float(one) for one in log.read_bytes()[begin:].split()]
        if len(times_s) >= count:
            return sorted(times_s[-count:])
        time.sleep(0.1)
    raise SystemExit(f"nginx wrote {len(times_s)} of {count} times")


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=ROUNDS)
    given = options.parse_args()
    seen: dict[tuple[str, int], list[Seen]] = {}
    with tempfile.TemporaryDirectory() as made:
        folder, log = Path(made), Path(made) / "times.log"
        with serving(folder, 1, log=log) as (url, _):
            for transport, rate, seconds in CASES:
                rows = rate * seconds
                lines = "".join(f"dest-{one:07d},Fleet {one}\n" for one in range(rows))
                (folder / f"{rows}.csv").write_text("destination_id,name\n" + lines, encoding="utf-8")
                for name, limit in ((f"{transport}-{rate}", rate), (f"{transport}-{rate}-free", 1_000_000)):
                    job = JOB.format(rows=rows, url=url, rate=limit, transport=transport)
                    (folder / f"{name}.toml").write_text(job, encoding="utf-8")
            for _ in range(given.rounds):
                for case in CASES:
                    one = one_round(folder, log, *case)
                    seen.setdefault(case[:2], []).append(one)
                    print(case, one, file=sys.stderr, flush=True)  # noqa: T201  (how far it is)
    print("\n".join(table(seen)))  # noqa: T201  (its result)


def table(seen: Mapping[tuple[str, int], Sequence[Seen]]) -> list[str]:
    """Medians, and of the fullest second and the memory the most of all rounds."""
    lines = [
        "| transport, rate | reached | fullest second leaving | at the server | pacing, share of a core | peak MiB |",
        "|---|---|---|---|---|---|",
    ]
    for (transport, rate), each in seen.items():
        share = statistics.median(one.reached for one in each)
        pacing = statistics.median(one.pacing for one in each)
        most = [max(one.most_left for one in each), max(one.most_came for one in each)]
        peak = max(one.peak_mib for one in each)
        lines.append(
            f"| {transport}, {rate:,}/s | {share:.2%} | {most[0]:,} | {most[1]:,} | {pacing:.1%} | {peak:.0f} |"
        )
    return lines


if __name__ == "__main__":
    main()
