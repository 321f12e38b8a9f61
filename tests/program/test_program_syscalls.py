"""Killed, or failed by the disk, at every system call by which the program touches the disk or the network."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import pytest
from program_forks import Forks
from program_points import CALLS, Point, check_ended, left_by, named, place, points
from program_trace import need_tracing

SEED = 20_261_125
SAMPLE = 10
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
        with named(point), place(forks, folder / f"kill{number}") as where:
            ended = where.work("run", "job.toml", "--yes", point=point, fault="signal=KILL")
            assert ended.code in {-9, 0}, ended.err
            struck += ended.code == -9
            left = left_by(where)
            if ended.code:
                where.finish()
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
@pytest.mark.parametrize(("thread", "call"), [(thread, call) for thread, calls in CALLS.items() for call in calls])
def test_kills_at_every_call(
    forks: Forks, tmp_path: Path, cases: Callable[[int], None], thread: str, call: str
) -> None:
    """All that a thread makes of one kind, one after the other."""
    which = [point for point in points(forks, tmp_path) if (point.thread, point.call) == (thread, call)]
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
        fault = f"error={error}:when={point.number}{'+' if sticky else ''}"
        with (
            named(f"{point} {fault}"),
            place(forks, folder / f"{point.call}-{fault}-{number}", latency_s=0.002) as where,
        ):
            ended = where.work("run", "job.toml", "--yes", point=point, fault=fault)
            assert ended.code in {0, 8}, ended.err
            refused += ended.code == 8
            left = left_by(where)
            if ended.code == 8:
                assert any(code in ended.err for code in ("BP606", "BP607")), ended.err
                ways_on = [f"bulkpatch {verb} {where.bench.latest.name}" for verb in VERBS] if left else [""]
                assert any(way in ended.err for way in ways_on), ended.err
            if (error, point.thread, sticky) == ("ENOSPC", "ledger", False) and left is not None:
                assert left.ledger.open == frozenset()
            if ended.code:
                where.finish()
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
        check_faults(forks, tmp_path, error, chosen(of_calls(every, calls), 2), sticky=sticky)
    cases(2 * len(FAULTS))


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
