"""One process works on a run; a second one leaves at once and says who does."""

from __future__ import annotations

import platform
import resource
import signal

import pytest
from program_rig import Bench, fleet_of, serving, until, until_asked

LEAVES_S = 1.0
"""Seconds in which the second process is gone. They are counted on its own clock: it waits for nothing."""


def test_the_second_process_leaves_at_once(bench: Bench) -> None:
    """Exit 6 within a second, with the pid and host of the first, which is not disturbed."""
    fleet = fleet_of(60)
    with serving(fleet) as server:
        first = bench.start("run", bench.renaming(fleet, server.url, rate="2/s"), "--yes")
        until_asked(fleet, 1, first)
        before_s = cpu_s()
        ended = bench.run("resume", "latest", "--yes")
        assert ended.code == 6, ended.err
        assert f"process {first.pid} on {platform.node()}" in ended.err
        assert cpu_s() - before_s < LEAVES_S
        assert not first.gone
        first.signal(signal.SIGINT)
        assert first.wait().code == 130
    assert set(fleet.effects.values()) == {1}


def cpu_s() -> float:
    """Seconds that the children which are gone have had of a processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def check_race(bench: Bench, racers: int) -> None:
    """Several resumes of one stopped run at the same moment: one works, the others exit 6, no row is sent twice."""
    fleet = fleet_of(60)
    with serving(fleet, latency_s=0.05) as server:
        first = bench.start("run", bench.renaming(fleet, server.url, rate="10/s"), "--yes")
        until_asked(fleet, 4, first)
        first.kill()
        doubts = bench.ledger().open
        children = [bench.start("resume", "latest", "--yes", "--rate", "2/s") for _ in range(racers)]
        until(lambda: sum(child.gone for child in children) >= racers - 1)
        (winner,) = (child for child in children if not child.gone)
        for child in children:
            if child is not winner:
                ended = child.wait()
                assert ended.code == 6, ended.err
                assert f"is held by process {winner.pid} on {platform.node()}" in ended.err
        until_asked(fleet, 1, winner)
        winner.signal(signal.SIGINT)
        assert winner.wait().code == 130
    assert {one for one in fleet.ids if fleet.effects[one] > 1} <= doubts


@pytest.mark.proves("G8")
def test_two_resumes_at_once(bench: Bench) -> None:
    """Two of them."""
    check_race(bench, 2)


@pytest.mark.proves("G8")
@pytest.mark.long
@pytest.mark.parametrize("number", range(20))
def test_races(bench: Bench, number: int) -> None:
    """Twenty times two to four."""
    check_race(bench, 2 + number % 3)
