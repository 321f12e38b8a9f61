"""Signals and lost terminals: the first signal drains, the second quits, a closed pipe changes nothing."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time

import pytest
from program_rig import PROGRAM, Bench, check_renamed, fleet_of, serving, until_asked, writes

from bulkpatch.simulator.faults import FaultPlan, Mishap

LATENCY_S = 0.4
"""Of the server, so that there is something to wait for."""


@pytest.mark.proves("G13")
@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, id="INT"),
        pytest.param(signal.SIGTERM, 143, id="TERM"),
        pytest.param(signal.SIGHUP, 143, id="HUP", marks=pytest.mark.long),
    ],
)
def test_the_first_signal_drains(bench: Bench, number: signal.Signals, code: int) -> None:
    """What is in flight is waited for, nothing is sent later than 100 ms after it, and the way on is named."""
    fleet = fleet_of(200)
    with serving(fleet, latency_s=LATENCY_S) as server:
        child = bench.start("run", bench.renaming(fleet, server.url), "--yes")
        until_asked(fleet, 12, child)
        at_s = child.signal(number)
        ended = child.wait()
    assert ended.code == code
    assert f"bulkpatch resume {bench.latest.name}" in ended.err
    left = bench.ledger()
    assert fleet.arrivals[-1].at_s - at_s <= 0.1 + (left.latency_s_max - LATENCY_S)  # as it left, however busy we are
    assert left.open == frozenset()
    assert set(left.states.values()) == {"accepted"}
    assert len(left.states) == len(writes(fleet)) == sum(fleet.effects.values())
    stands = bench.stands()
    assert (stands["state"], stands["exit_code"]) == ("interrupted", code)
    assert bench.outcomes()["state"].value_counts(sort=True)["count"].sum() == 200


def test_the_second_signal_quits(bench: Bench) -> None:
    """An API that does not answer is not waited for any more; resume settles every row, those in doubt too."""
    fleet = fleet_of(30)
    stalled = {fleet.ids[number]: [Mishap.STALL, None] for number in range(4, 8)}
    faults = FaultPlan(overrides=stalled, stall_s=60.0)
    with serving(fleet, faults) as server:
        child = bench.start("run", bench.renaming(fleet, server.url, timeout="1m", concurrency=4), "--yes")
        until_asked(fleet, 8, child)
        child.signal(signal.SIGINT)
        time.sleep(0.5)
        assert not child.gone
        at_s = child.signal(signal.SIGINT)
        ended = child.wait()
        assert time.monotonic() - at_s < 10.0
        assert ended.code == 130
        assert bench.ledger().open == frozenset(stalled)
        assert bench.run("resume", "latest", "--yes").code == 0
    check_renamed(fleet)
    assert {fleet.effects[one] for one in stalled} == {2}
    assert {fleet.effects[one] for one in fleet.ids if one not in stalled} == {1}


@pytest.mark.proves("G13")
@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_signals_at_any_moment(bench: Bench, seed: int) -> None:
    """From the start of the process to its end: the code is the signal's or 0, and no row is lost."""
    fleet = fleet_of(60)
    with serving(fleet, "some", latency_s=0.05) as server:
        job = bench.renaming(fleet, server.url, rate="200/s")
        child = bench.start("run", job, "--yes")
        time.sleep(0.2 + 0.2 * seed)
        child.signal(signal.SIGTERM if seed % 2 else signal.SIGINT)
        ended = child.wait()
        arguments: tuple[str, ...] = ("resume", "latest", "--yes")
        if not (bench.runs and (bench.latest / "ledger.sqlite").exists()):
            assert not writes(fleet)
            arguments = ("run", str(job), "--yes")
        assert ended.code in {0, 130, 143, -signal.SIGINT, -signal.SIGTERM}
        if ended.code:
            assert bench.run(*arguments).code == 0
    check_renamed(fleet)


@pytest.mark.parametrize("progress", ["plain", pytest.param("live", marks=pytest.mark.long)])
def test_closed_pipes_do_not_stop_the_job(bench: Bench, progress: str) -> None:
    """Nobody reads stdout and stderr any more: the run goes on to its end, and the report stands."""
    fleet = fleet_of(60)
    with serving(fleet, latency_s=0.02) as server:
        job = bench.renaming(fleet, server.url, rate="50/s")
        read, write = os.pipe()
        child = bench.start("run", job, "--yes", "--progress", progress, stdout=write, stderr=subprocess.STDOUT)
        os.close(write)
        until_asked(fleet, 5, child)
        os.close(read)
        assert child.wait().code == 0
    check_renamed(fleet)
    assert set(bench.outcomes()["state"]) == {"accepted"}
    assert bench.stands()["state"] == "finished"


def test_closed_descriptors_do_not_stop_the_job(bench: Bench) -> None:
    """Started with neither stdin, stdout nor stderr, as some schedulers do, it runs, and its files are its own."""
    fleet = fleet_of(20)
    with serving(fleet) as server:
        job = bench.renaming(fleet, server.url)
        command = f"exec {shlex.join(PROGRAM)} run {job} --yes <&- >&- 2>&-"
        child = bench.start_command(["sh", "-c", command])
        assert child.wait().code == 0
    check_renamed(fleet)
    assert bench.ledger().states.keys() == set(fleet.ids)
