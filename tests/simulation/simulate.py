"""``make sim SEED=0 RUNS=1000``: tells that many stories, prints what was violated and one hash of all traces."""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from simulation_rig import Told, simulate

CHUNK = 25
"""Seeds that a worker takes at a time."""
TELLING = 500
"""Seeds after which it is said how far it is."""
TOLD_MAX = 20
"""Violating seeds that are printed whole."""


def sweep(first: int, runs: int, *, workers: int) -> Iterator[Told]:
    """The stories of ``runs`` seeds, in their order."""
    seeds = range(first, first + runs)
    if workers <= 1 or runs <= CHUNK:
        yield from map(simulate, seeds)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(simulate, seeds, chunksize=CHUNK)


def say(words: str) -> None:
    """At once, also into a file."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> int:
    """Print and say whether all held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--trace", action="store_true", help="print every event of the first seed")
    asked = parser.parse_args()
    if asked.trace:
        sys.stdout.writelines(simulate(asked.seed, keep=True).lines)
    began_s, whole = time.perf_counter(), hashlib.blake2b(digest_size=16)
    total: Counter[str] = Counter()
    virtual_s, bad = 0.0, []
    for told in sweep(asked.seed, asked.runs, workers=asked.workers):
        whole.update(told.trace.encode())
        virtual_s += told.virtual_s
        total += Counter(seeds=1, rows=told.rows, requests=told.requests, processes=len(told.ends))
        total["crashes"] += sum(end.crashed for end in told.ends)
        if told.blames:
            bad.append(told.seed)
            say(f"violated: {told.words}" if len(bad) <= TOLD_MAX else f"violated: seed {told.seed}")
        if total["seeds"] % TELLING == 0:
            say(f"{total['seeds']:,} seeds after {time.perf_counter() - began_s:.0f} s, {len(bad)} violations")
    real_s = time.perf_counter() - began_s
    counts = ", ".join(f"{number:,} {name}" for name, number in total.items())
    say(f"{counts}; {virtual_s:,.0f} virtual s in {real_s:.1f} s; {len(bad)} violations; hash {whole.hexdigest()}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
