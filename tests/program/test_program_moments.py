"""Killed, signalled and raced at moments that a seed draws, by the hundred: several jobs at the same time."""

from __future__ import annotations

import platform
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from program_forks import Forks
from program_points import Left, Place, check_ended, left_by, named, place
from program_rig import Child, read_ledger, until

from bulkpatch.simulator.limits import busiest

LATENCY_S = 0.01
"""Of the server, so that requests are in flight."""
AT_ONCE = 4
"""Places that are worked on at the same time: a resume waits for a second before it sends."""
KILLS = 5
"""Of one job, the first of its run and the others of resumes."""
RATE = 30
"""Requests a second, where the rate is looked at."""


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    """The program, imported once."""
    with Forks() as made:
        yield made


def all_of(check: Callable[[int], int], seeds: Sequence[int]) -> int:
    """The sum over all seeds; the first failure names its own."""

    def one(seed: int) -> int:
        with named(f"seed {seed}"):
            return check(seed)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(one, seeds))


def until_more(where: Place, child: Child, number: int = 1) -> None:
    """Wait until so many requests more came in, or the child is gone."""
    before = len(where.api.came)
    until(lambda: child.gone or len(where.api.came) >= before + number)


def begin(where: Place) -> Child:
    """A run, or a resume of the one that is there."""
    return where.bench.start(*(("resume", "latest", "--yes") if where.began else ("run", "job.toml", "--yes")))


# ── kill -9 ──────────────────────────────────────────────────────────────────────────────────


def killed(forks: Forks, folder: Path, seed: int) -> int:
    """One job, killed up to five times: four of them while it was resumed."""
    chance = random.Random(seed)  # noqa: S311  (a fixed seed)
    story: list[Left] = []
    struck = 0
    with place(forks, folder / str(seed), latency_s=LATENCY_S, rate="200/s") as where:
        for _ in range(KILLS):
            child = begin(where)
            if chance.random() < 0.75:
                until_more(where, child)
                time.sleep(chance.uniform(0, 0.08))
            else:
                time.sleep(chance.uniform(0, 1.5))
            struck += not child.gone
            child.kill()
            if (left := left_by(where)) is not None:
                story.append(left)
        where.finish()
        check_ended(where, story)
    return struck


@pytest.mark.proves("G2", "G1", "G4")
def test_random_kills(forks: Forks, tmp_path: Path, cases: Callable[[int], None]) -> None:
    """A score."""
    cases(all_of(partial(killed, forks, tmp_path), range(4)))


@pytest.mark.long
@pytest.mark.proves("G2", "G1", "G4")
@pytest.mark.parametrize("first", range(100, 360, 65))
def test_a_thousand_random_kills(forks: Forks, tmp_path: Path, first: int, cases: Callable[[int], None]) -> None:
    """A thousand, of which four in five strike a resume."""
    struck = all_of(partial(killed, forks, tmp_path), range(first, first + 65))
    assert struck >= 250
    cases(struck)


# ── kill, and resume at once ─────────────────────────────────────────────────────────────────


def resumed_at_once(forks: Forks, folder: Path, seed: int) -> int:
    """What both processes sent, taken together, keeps to the rate; the second one holds its first request back."""
    chance = random.Random(seed)  # noqa: S311  (a fixed seed)
    with place(forks, folder / str(seed), latency_s=LATENCY_S, rate=f"{RATE}/s") as where:
        child = begin(where)
        until_more(where, child, chance.randint(1, 25))
        child.kill()
        assert begin(where).wait().code == 0
        times_s = [at_s for at_s, _ in where.api.came]
        delay_s = read_ledger(where.bench.latest).latency_s_max - LATENCY_S
        if delay_s < 1.0:  # on a busy machine what arrives tells little of when it left
            assert busiest(times_s, 1.0 - delay_s) <= RATE
        assert max(later - earlier for earlier, later in pairwise(times_s)) >= 1.0 - delay_s
    return 1


@pytest.mark.proves("G5")
def test_a_resume_at_once_keeps_to_the_rate(forks: Forks, tmp_path: Path, cases: Callable[[int], None]) -> None:
    """A few."""
    cases(all_of(partial(resumed_at_once, forks, tmp_path), range(4)))


@pytest.mark.long
@pytest.mark.proves("G5")
def test_two_hundred_resumes_at_once_keep_to_the_rate(
    forks: Forks, tmp_path: Path, cases: Callable[[int], None]
) -> None:
    """Two hundred."""
    cases(all_of(partial(resumed_at_once, forks, tmp_path), range(1_000, 1_200)))


# ── two for one run ──────────────────────────────────────────────────────────────────────────


def check_races(forks: Forks, folder: Path, *, races: int, seed: int) -> int:
    """Two resumes of one run, again and again: one of them leaves with exit 6 and names the other."""
    chance = random.Random(seed)  # noqa: S311  (a fixed seed)
    story: list[Left] = []
    with place(forks, folder, latency_s=LATENCY_S, rate="1/s") as where:  # so slow that none comes to its end
        first = begin(where)
        until_more(where, first, 2)
        first.kill()
        for _ in range(races):
            if (left := left_by(where)) is not None:
                story.append(left)
            pair = [begin(where)]
            time.sleep(chance.choice([0.0, 0.0, chance.uniform(0, 0.05)]))
            pair.append(begin(where))
            until(lambda: any(child.gone for child in pair))  # noqa: B023  (called at once)
            loser, winner = sorted(pair, key=lambda child: not child.gone)
            ended = loser.wait()
            assert ended.code == 6, ended.err
            assert f"is held by process {winner.pid} on {platform.node()}" in ended.err
            if chance.random() < 0.1:
                until_more(where, winner)
            assert not winner.gone
            winner.kill()
        where.finish("--rate", "1000/s")
        check_ended(where, story)
    return races


@pytest.mark.proves("G8")
def test_races_for_a_run(forks: Forks, tmp_path: Path, cases: Callable[[int], None]) -> None:
    """A few."""
    cases(check_races(forks, tmp_path / "race", races=6, seed=1))


@pytest.mark.long
@pytest.mark.proves("G8")
def test_two_hundred_races_for_a_run(forks: Forks, tmp_path: Path, cases: Callable[[int], None]) -> None:
    """Two hundred, of several runs at the same time."""
    cases(all_of(lambda seed: check_races(forks, tmp_path / str(seed), races=25, seed=seed), range(2, 10)))


# ── signals ──────────────────────────────────────────────────────────────────────────────────


def signalled(forks: Forks, folder: Path, seed: int) -> int:
    """One signal, or a second one behind it, at any moment of a run; then to the end."""
    chance = random.Random(seed)  # noqa: S311  (a fixed seed)
    number = chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    twice = chance.random() < 0.3
    with place(forks, folder / str(seed), latency_s=LATENCY_S, rate="100/s") as where:
        child = begin(where)
        if chance.random() < 0.75:
            until_more(where, child, chance.randint(1, 30))
        else:
            time.sleep(chance.uniform(0, 1.0))
        missed = child.gone
        at_s = child.signal(number)
        if twice:
            time.sleep(chance.uniform(0, 0.05))
            child.signal(number)
        code = child.wait().code
        assert code in {0, 130 if number == signal.SIGINT else 143, -number}
        left = left_by(where)
        if left is not None and code > 0 and not twice and left.arrived:
            assert left.ledger.open == frozenset()
            late_s = max(0.0, left.ledger.latency_s_max - LATENCY_S)
            assert where.api.came[-1][0] <= at_s + 0.1 + late_s
        where.finish()
        check_ended(where, [left] if left else [])
    return not missed


@pytest.mark.proves("G13", "G2")
def test_signals(forks: Forks, tmp_path: Path, cases: Callable[[int], None]) -> None:
    """A few."""
    cases(all_of(partial(signalled, forks, tmp_path), range(8)))


@pytest.mark.long
@pytest.mark.proves("G13", "G2")
@pytest.mark.parametrize("first", range(100, 600, 100))
def test_five_hundred_signals(forks: Forks, tmp_path: Path, first: int, cases: Callable[[int], None]) -> None:
    """Five hundred."""
    cases(all_of(partial(signalled, forks, tmp_path), range(first, first + 100)))
