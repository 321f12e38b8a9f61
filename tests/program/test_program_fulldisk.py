"""A disk that is full, without permission or short of descriptors: the run stops whole, and says how it goes on."""

from __future__ import annotations

import signal

import pytest
from program_disk import fill, remount, small_disk
from program_rig import PROGRAM, Bench, check_renamed, fleet_of, serving, until_asked, writes
from program_trace import injecting

ROWS = 60
LATENCY_S = 0.3
"""Of the server, so that requests are in flight when the disk is full."""
DISK_MIB = 48


@pytest.mark.proves("G14", "G4")
def test_a_full_disk_keeps_what_was_in_flight(bench: Bench) -> None:
    """Every answer that was under way is kept, the way on is named, and with room no row is sent a second time."""
    fleet = fleet_of(ROWS)
    with small_disk(bench, DISK_MIB) as disk, serving(fleet, latency_s=LATENCY_S) as server:
        child = bench.start("run", bench.renaming(fleet, server.url, rate="40/s"), "--yes")
        until_asked(fleet, 12, child)
        assert (bench.latest / "ballast").stat().st_blocks * 512 >= 1024 * 1024
        assert (bench.latest / "ballast").stat().st_mode & 0o777 == 0o600
        filler = fill(disk)
        ended = child.wait()
        assert ended.code == 8, ended.err
        assert "Free at least 32 MiB" in ended.err
        assert f"bulkpatch resume {bench.latest.name}" in ended.err
        left = bench.ledger()
        assert left.open == frozenset()
        assert left.states.keys() == {one.destination_id for one in writes(fleet)}
        stands = bench.stands()
        assert (stands["state"], stands["exit_code"], stands["code"]) == ("stopped", 8, "BP606")
        assert not (bench.latest / "ballast").exists()
        filler.unlink()
        resumed = bench.run("resume", "latest", "--yes")
        assert resumed.code == 0, resumed.err
        assert set(bench.outcomes()["state"]) == {"accepted"}
    check_renamed(fleet)
    assert set(fleet.effects.values()) == {1}


@pytest.mark.long
def test_a_disk_that_is_still_full_is_named_again(bench: Bench) -> None:
    """Resumed too early nothing is sent: exit 8, how much to free, and later it goes on from where it stood."""
    fleet = fleet_of(ROWS)
    with small_disk(bench, DISK_MIB) as disk, serving(fleet, latency_s=0.05) as server:
        child = bench.start("run", bench.renaming(fleet, server.url, rate="40/s"), "--yes")
        until_asked(fleet, 12, child)
        filler = fill(disk)
        assert child.wait().code == 8
        fill(disk)  # what the ballast had left over
        sent = len(writes(fleet))
        early = bench.run("resume", "latest", "--yes")
        assert (early.code, "Free at least 32 MiB" in early.err) == (8, True), early.err
        assert len(writes(fleet)) == sent
        filler.unlink()
        assert bench.run("resume", "latest", "--yes").code == 0
    check_renamed(fleet)
    assert set(fleet.effects.values()) == {1}


def test_a_report_that_the_disk_does_not_take_leaves_the_run_done(bench: Bench) -> None:
    """Exit 8 once every row is settled, and `bulkpatch report RUN` is what is left to do."""
    fleet = fleet_of(20)
    with serving(fleet) as server:
        child = bench.start("run", bench.renaming(fleet, server.url, rate="20/s"), "--yes")
        until_asked(fleet, 5, child)
        child.signal(signal.SIGINT)
        assert child.wait().code == 130
        refusing = injecting("mkdir,mkdirat", "error=ENOSPC", paths=[bench.latest / ".report"])
        ended = bench.start_command([*refusing, *PROGRAM, "resume", "latest", "--yes"]).wait()
    assert ended.code == 8, ended.err
    assert f"bulkpatch report {bench.latest.name}" in ended.err
    check_renamed(fleet)
    stands = bench.stands()
    assert (stands["state"], stands["exit_code"], stands["code"]) == ("finished", 8, "BP606")
    assert bench.outcomes()["state"].n_unique() == 2  # the report of the first process
    assert bench.run("report", bench.latest.name).code == 0
    assert set(bench.outcomes()["state"]) == {"accepted"}
    assert set(fleet.effects.values()) == {1}


# ── a folder that cannot be written ──────────────────────────────────────────────────────────


def test_a_disk_that_cannot_be_written_is_named_before_anything_is_sent(bench: Bench) -> None:
    """Read-only when the run would begin: exit 2; when it would go on: exit 8, and once it is writable it does."""
    fleet = fleet_of(20)
    with small_disk(bench, DISK_MIB) as disk, serving(fleet) as server:
        job = bench.renaming(fleet, server.url, rate="20/s")
        remount(disk, "ro")
        assert bench.run("run", job, "--yes").code == 2
        remount(disk, "rw")
        child = bench.start("run", job, "--yes")
        until_asked(fleet, 5, child)
        child.kill()
        doubts = bench.ledger().open
        remount(disk, "ro")
        sent = len(writes(fleet))
        refused = bench.run("resume", "latest", "--yes")
        assert (refused.code, len(writes(fleet))) == (8, sent), refused.err
        remount(disk, "rw")
        assert bench.run("resume", "latest", "--yes").code == 0
    check_renamed(fleet)
    assert {one for one in fleet.ids if fleet.effects[one] > 1} <= doubts
