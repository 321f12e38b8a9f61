"""Whole runs under virtual time: whatever a seed brings, the promises hold, and the same seed is the same run."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from simulation_rig import simulate

HERE = Path(__file__).parent
QUICK = 300
"""Stories in every run of the tests, in blocks so that workers share them."""
BLOCKS = 4
LONG = 10_000
HELD = ("G1", "G2", "G3", "G4", "G5", "G6", "G10", "G13", "G14", "G16")


def check(seeds: range) -> None:
    """Tell them all; what was violated is told by seed."""
    found = [told.words for seed in seeds if (told := simulate(seed)).blames]
    assert not found, "\n".join(found)


@pytest.mark.proves(*HELD)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_the_promises_hold_whatever_a_seed_brings(block: int, cases: Callable[[int], None]) -> None:
    """Crashes, lost answers, storms, outages, signals, pauses, jumps of the wall clock, and resumes to the end."""
    size = QUICK // BLOCKS
    check(range(block * size, (block + 1) * size))
    cases(size)


@pytest.mark.long
@pytest.mark.proves(*HELD)
@pytest.mark.parametrize("block", range(20))
def test_the_promises_hold_for_ten_thousand_seeds(block: int, cases: Callable[[int], None]) -> None:
    """The same, and none of them is one of the quick ones."""
    size = LONG // 20
    check(range(QUICK + block * size, QUICK + (block + 1) * size))
    cases(size)


@pytest.mark.proves("G18")
def test_the_same_seed_makes_the_same_trace(cases: Callable[[int], None]) -> None:
    """Event for event, in this process and in one whose hashes, and so whose sets, are ordered otherwise."""
    seeds = range(25)
    again = [simulate(seed, keep=True) for seed in seeds]
    assert [told.trace for told in again] == [simulate(seed).trace for seed in seeds]
    assert len({told.trace for told in again}) == len(seeds)
    code = f"from simulation_rig import simulate\nprint(*(simulate(seed).trace for seed in {seeds}))"
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=HERE,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(HERE)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == [told.trace for told in again]
    cases(len(seeds))


def test_the_stories_are_about_what_they_should_be_about() -> None:
    """Of a hundred seeds: crashes, resumes, stops of many kinds, and rows that end in every way."""
    told = [simulate(seed) for seed in range(100)]
    ends = Counter("crash" if end.crashed else end.code for one in told for end in one.ends)
    assert ends["crash"] >= 50
    assert {"BP402", "BP501", "BP503", "BP606"} <= ends.keys()
    states = sum((one.states for one in told), Counter[str]())
    assert {"accepted", "verified", "rejected", "exhausted", "unknown"} <= states.keys()
    assert states["accepted"] + states["verified"] > states.total() / 2
    assert sum(len(one.ends) > 3 for one in told) >= 10


FOUND = {
    263: "a resume made intents while those of the dead process were still open: more in doubt than concurrency",
    8658: "a wall clock that was set on while an answer was waited for, and again, hid requests from a resume",
    523: "an intent that waits for its turn at a slow rate is older than its request: a resume made a window too full",
}
"""Seeds that found a fault in the product, which is mended."""


@pytest.mark.proves("G2", "G5")
@pytest.mark.parametrize("seed", FOUND)
def test_what_a_seed_found_once_stays_mended(seed: int) -> None:
    check(range(seed, seed + 1))
