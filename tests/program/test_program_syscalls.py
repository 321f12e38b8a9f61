"""Killed, or failed by the disk, at every system call by which the program touches the disk or the network."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from program_forks import Forks
from program_points import Point, check_ended, left_by, place, points
from program_trace import need_tracing

SEED = 20_261_125
SAMPLE = 14
"""Points that are tried in every run of the tests; all of them are in the long ones."""


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    """The program, imported once."""
    need_tracing()
    with Forks() as made:
        yield made


def chosen(every: Sequence[Point], number: int) -> Sequence[Point]:
    """Some of them, by the seed: of each call the same share, at least one."""
    chance = random.Random(SEED)  # noqa: S311  (a fixed seed)
    kinds = sorted({(point.thread, point.call) for point in every})
    first = [chance.choice([point for point in every if (point.thread, point.call) == kind]) for kind in kinds]
    return (first + chance.sample(list(every), min(number, len(every))))[:number]


def check_kills(forks: Forks, folder: Path, which: Sequence[Point]) -> int:
    """Kill a run at each point, look at what is left, resume, and look at the whole; how many kills struck."""
    struck = 0
    for number, point in enumerate(which):
        with place(forks, folder / f"kill{number}") as where:
            ended = where.work("run", "job.toml", "--yes", point=point, fault="signal=KILL")
            assert ended.code in {-9, 0}, f"{point}: {ended.err}"
            struck += ended.code == -9
            left = left_by(where)
            resumed = where.resume() if ended.code else ended
            # Killed once run.json said that it is over, there is nothing to resume.
            assert resumed.code == 0 or "BP608" in resumed.err, f"{point}: {resumed.err}"
            check_ended(where, [left] if left else [])
    return struck


@pytest.mark.proves("G1", "G2", "G4")
def test_kills_at_some_calls(forks: Forks, tmp_path: Path, cases: Callable[[int], None]) -> None:
    """Of every kind of call one, and some more."""
    which = chosen(points(forks, tmp_path), SAMPLE)
    struck = check_kills(forks, tmp_path, which)
    assert struck >= len(which) * 3 // 4
    cases(struck)


@pytest.mark.long
@pytest.mark.proves("G1", "G2", "G4")
def test_kills_at_every_call(forks: Forks, tmp_path: Path, cases: Callable[[int], None]) -> None:
    """All of them, one after the other."""
    which = points(forks, tmp_path)
    struck = check_kills(forks, tmp_path, which)
    assert struck >= len(which) * 3 // 4
    cases(struck)
