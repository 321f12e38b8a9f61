"""A process that sleeps past its timeouts, and a wall clock that jumps: neither moves the pace."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from program_rig import Bench, check_rate, check_renamed, fleet_of, serving, until_asked, writes

from bulkpatch.simulator.state import Fleet

RATE = 20
LATENCY_S = 0.2
LIBRARIES = ("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")
HOUR_S = 3600
JUMPS_S = (HOUR_S, pytest.param(-HOUR_S, marks=pytest.mark.long))


def faked(offset: Path) -> Mapping[str, str]:
    """What makes a child's wall clock differ by what stands in ``offset``, while its monotonic one is the machine's."""
    library = next((one for one in LIBRARIES if Path(one).exists()), None)
    if library is None:
        pytest.skip("libfaketime is not there (apt package faketime): no clock was moved")
    return {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def check_pace(bench: Bench, fleet: Fleet) -> None:
    """Every row is accepted, and no second held more than the rate."""
    check_renamed(fleet)
    check_rate(fleet, RATE, delay_s=bench.ledger().latency_s_max - LATENCY_S)


@pytest.mark.proves("G16", "G5")
def test_a_process_that_was_stopped_does_not_catch_up(bench: Bench) -> None:
    """Stopped for longer than its timeout: what was in flight is tried again, and nothing comes in a burst."""
    fleet = fleet_of(50)
    with serving(fleet, latency_s=LATENCY_S) as server:
        child = bench.start("run", bench.renaming(fleet, server.url, rate=f"{RATE}/s", timeout="1s"), "--yes")
        until_asked(fleet, 15, child)
        child.signal(signal.SIGSTOP)
        time.sleep(2.5)
        before = len(fleet.arrivals)
        woken_s = child.signal(signal.SIGCONT)
        ended = child.wait()
        assert ended.code == 0, ended.err
    check_renamed(fleet)
    late_s = [arrival.at_s - woken_s for arrival in list(fleet.arrivals)[before:]]
    assert sum(one < 0.5 for one in late_s) <= RATE  # two and a half seconds held back fifty places
    left = bench.ledger()
    assert len(left.states) == 50
    assert all(fleet.effects[one] <= left.intents[one] for one in fleet.ids)


@pytest.mark.proves("G16", "G5")
@pytest.mark.parametrize("jump_s", JUMPS_S)
def test_a_wall_clock_that_jumps_moves_nothing(bench: Bench, jump_s: int) -> None:
    """An hour on or back in mid-run: time stamps jump, the pace and the deadlines do not."""
    offset = bench.write("offset", "+0")
    fleet = fleet_of(50)
    with serving(fleet, latency_s=LATENCY_S) as server:
        job = bench.renaming(fleet, server.url, rate=f"{RATE}/s")
        child = bench.start("run", job, "--yes", environ=faked(offset))
        until_asked(fleet, 15, child)
        offset.write_text(f"{jump_s:+d}")
        ended = child.wait()
        assert ended.code == 0, ended.err
    check_pace(bench, fleet)
    assert set(fleet.effects.values()) == {1}
    found = bench.outcomes()["finished_at"].sort()
    assert abs((found[-1] - found[0]).total_seconds()) > HOUR_S / 2  # the clock was moved indeed
    assert bench.stands()["elapsed_s"] < HOUR_S / 2


@pytest.mark.proves("G16", "G5")
@pytest.mark.parametrize("jump_s", JUMPS_S)
def test_a_wall_clock_that_jumps_between_two_processes_gives_no_burst(bench: Bench, jump_s: int) -> None:
    """Killed, moved by an hour, resumed at once: the minute that spans the kill holds no more than the rate."""
    offset = bench.write("offset", "+0")
    fleet = fleet_of(16)
    with serving(fleet) as server:
        job = bench.renaming(fleet, server.url, rate="300/min")
        child = bench.start("run", job, "--yes", environ=faked(offset))
        until_asked(fleet, 8, child)
        child.kill()
        offset.write_text(f"{jump_s:+d}")
        before_s = fleet.arrivals[-1].at_s
        again = bench.start("resume", "latest", "--yes", environ=faked(offset))
        until_asked(fleet, 1, again)
        assert writes(fleet)[8].at_s - before_s >= 1.0
        assert again.wait().code == 0
    check_renamed(fleet)
    assert os.environ.get("LD_PRELOAD") is None
    assert len(writes(fleet)) <= 16 + 8
