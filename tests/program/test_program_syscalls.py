"""Killed, or failed by the disk, at every system call by which the program touches the disk or the network."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
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


# ── a disk that fails ────────────────────────────────────────────────────────────────────────

VERBS = ("resume", "report")
"""Of the command that leads on, by what failed."""
WRITES = ("pwrite64",)
SYNCS = ("fdatasync", "fsync")
FAULTS = (("ENOSPC", WRITES), ("EIO", WRITES), ("EIO", SYNCS))


def of_calls(every: Sequence[Point], calls: Collection[str]) -> list[Point]:
    """Those points of ``every``."""
    return [point for point in every if point.call in calls]


def check_faults(forks: Forks, folder: Path, error: str, which: Sequence[Point], *, sticky: bool) -> int:
    """Fail each call once, or from then on: exit 8 or carried on, sound, and resumed to its end; how many were 8."""
    refused = 0
    for number, point in enumerate(which):
        with place(forks, folder / f"{error}-{point.call}-{number}", latency_s=0.002) as where:
            fault = f"error={error}:when={point.number}{'+' if sticky else ''}"
            ended = where.work("run", "job.toml", "--yes", point=point, fault=fault)
            at = f"{error} at {point}{'+' if sticky else ''}: exit {ended.code}: {ended.err}"
            assert ended.code in {0, 8}, at
            refused += ended.code == 8
            left = left_by(where)
            if ended.code == 8:
                assert any(code in ended.err for code in ("BP606", "BP607")), at
                assert left is None or any(
                    f"bulkpatch {verb} {where.bench.latest.name}" in ended.err for verb in VERBS
                ), at
            if (error, point.thread, sticky) == ("ENOSPC", "ledger", False) and left is not None:
                assert left.ledger.open == frozenset(), at
            resumed = where.resume() if ended.code else ended
            assert resumed.code == 0 or "BP608" in resumed.err, f"{at} {resumed.err}"
            check_ended(where, [left] if left else [])
    return refused


@pytest.mark.proves("G14", "G2", "G4")
@pytest.mark.parametrize("sticky", [False, True], ids=["once", "for_good"])
def test_faults_of_the_disk_at_some_calls(
    forks: Forks,
    tmp_path: Path,
    cases: Callable[[int], None],
    sticky: bool,  # noqa: FBT001  (both cases)
) -> None:
    """A few of each kind."""
    every = points(forks, tmp_path)
    for error, calls in FAULTS:
        check_faults(forks, tmp_path, error, chosen(of_calls(every, calls), 3), sticky=sticky)
    cases(3 * len(FAULTS))


@pytest.mark.long
@pytest.mark.proves("G14", "G2", "G4")
@pytest.mark.parametrize("sticky", [False, True], ids=["once", "for_good"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault[0]}-{fault[1][0]}")
def test_faults_of_the_disk_at_every_call(
    forks: Forks,
    tmp_path: Path,
    cases: Callable[[int], None],
    fault: tuple[str, Collection[str]],
    sticky: bool,  # noqa: FBT001  (both cases)
) -> None:
    """Every write and every sync, once and from then on."""
    error, calls = fault
    which = of_calls(points(forks, tmp_path), calls)
    assert check_faults(forks, tmp_path, error, which, sticky=sticky) >= len(which) // 3
    cases(len(which))
