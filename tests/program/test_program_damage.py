"""Files of a run that somebody moved, removed or took from another run: refused, kept as they are, and named."""

from __future__ import annotations

import shutil
from pathlib import Path

from program_rig import Bench, check_renamed, fleet_of, serving, until, writes


def killed(bench: Bench, job: Path) -> Path:
    """The folder of a run that was killed after ``run.json`` told of some outcomes."""
    before = len(bench.runs)
    child = bench.start("run", job, "--yes")
    until(lambda: child.gone or len(bench.runs) > before)
    until(lambda: child.gone or ((bench.latest / "run.json").exists() and bench.stands()["settled"] > 5))
    assert not child.gone
    child.kill()
    return bench.latest


def contents(run: Path) -> dict[str, bytes]:
    """What the ledger's files hold."""
    return {path.name: path.read_bytes() for path in sorted(run.glob("ledger.sqlite*"))}


def test_a_log_that_was_removed_is_noticed(bench: Bench) -> None:
    """Without its write-ahead log the ledger would send again what it sent: exit 8, until the log is back."""
    fleet = fleet_of(60)
    with serving(fleet) as server:
        run = killed(bench, bench.renaming(fleet, server.url, rate="20/s"))
        doubts = bench.ledger().open
        kept = {name: content for name, content in contents(run).items() if name.endswith("-wal")}
        assert kept
        (run / "ledger.sqlite-wal").unlink()
        sent = len(writes(fleet))
        refused = bench.run("resume", "latest", "--yes")
        assert (refused.code, "BP605" in refused.err) == (8, True), refused.err
        assert len(writes(fleet)) == sent
        for name, content in kept.items():
            (run / name).write_bytes(content)
        assert bench.run("resume", "latest", "--yes").code == 0
    check_renamed(fleet)
    assert {one for one in fleet.ids if fleet.effects[one] > 1} <= doubts


def test_a_log_of_another_run_is_refused(bench: Bench) -> None:
    """It is sound in itself, so SQLite would take it: exit 8, every byte stays, and with its own log it goes on."""
    fleet = fleet_of(60)
    with serving(fleet) as server:
        job = bench.renaming(fleet, server.url, rate="20/s")
        one, other = killed(bench, job), killed(bench, job)
        assert one != other
        own = (one / "ledger.sqlite-wal").read_bytes()
        shutil.copyfile(other / "ledger.sqlite-wal", one / "ledger.sqlite-wal")
        before = contents(one)
        sent = len(writes(fleet))
        refused = bench.run("resume", one.name, "--yes")
        assert (refused.code, "BP605" in refused.err) == (8, True), refused.err
        assert (len(writes(fleet)), contents(one)) == (sent, before)
        (one / "ledger.sqlite-wal").write_bytes(own)
        assert bench.run("resume", one.name, "--yes").code == 0
    check_renamed(fleet)
