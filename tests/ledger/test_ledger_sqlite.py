"""The ledger keeps what it acknowledged, refuses what is not its own, and belongs to one process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bulkpatch.errors import Broken, BulkpatchError, LedgerFailed, Mismatch
from bulkpatch.ledger.folder import make_run_folder, resolve_run, write_private
from bulkpatch.ledger.lock import RunLock, read_holder
from bulkpatch.ledger.sqlite import FILE, SEEDING, SqliteLedger, create, open_ledger
from bulkpatch.model import Act, Intent, Outcome, RowState, RunHeader, SeedRow, Setback, Stage

P = Stage.PATCH


def header() -> RunHeader:
    """A run of no importance."""
    return RunHeader(
        run_id="j-1",
        job_name="j",
        job_path="/jobs/j.toml",
        job_sha256="0",
        inputs=(),
        input_sha256="1",
        base_url="http://127.0.0.1:1",
        tool_version="0",
        created_at_us=1,
    )


def seeds(count: int) -> Iterator[list[SeedRow]]:
    """``count`` rows; every tenth repeats the row before it."""
    yield [
        SeedRow(row=n, destination_id=f"d{n}", digest=b"x" * 32, fields=("name",), lead=n - 1 if n % 10 == 0 else None)
        for n in range(1, count + 1)
    ]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    """Twenty rows, two of them repeats."""
    made = create(tmp_path, header(), seeds(20))
    yield made
    made.close()


def intent(row: int, attempt: int = 1) -> Intent:
    """About to be sent."""
    return Intent(row=row, attempt=attempt, stage=P, at_us=10 * attempt, at_s=float(attempt))


def outcome(row: int, state: RowState = RowState.ACCEPTED) -> Outcome:
    """Settled."""
    return Outcome(row=row, attempt=1, stage=P, state=state, at_us=99, http_status=200, latency_us=5)


def setback(row: int, attempt: int = 1, **more: bool) -> Setback:
    """Failed for now."""
    return Setback(row=row, attempt=attempt, stage=P, at_us=11, code="BP411", error="500", **more)


def test_it_is_durable_by_its_pragmas(ledger: SqliteLedger) -> None:
    """WAL, FULL and exclusive, whatever the library's defaults are."""
    ask = ledger._db.execute  # noqa: SLF001
    assert ask("PRAGMA journal_mode").fetchone() == ("wal",)
    assert ask("PRAGMA synchronous").fetchone() == (2,)
    assert ask("PRAGMA locking_mode").fetchone() == ("exclusive",)


def test_pending_rows_tell_what_their_attempts_came_to(ledger: SqliteLedger) -> None:
    """Open intents, doubt, withdrawn attempts and copies."""
    ledger.commit([intent(1), outcome(1), intent(2), setback(2, maybe_applied=True), intent(2, 2), intent(3)])
    ledger.commit([setback(3, counted=False, withdrawn=True)])
    pending = {row.row: row for row in ledger.pending_between(1, 20)}
    assert 1 not in pending
    assert 10 not in pending
    assert (pending[2].attempt, pending[2].tried, pending[2].doubted, pending[2].open) == (2, 1, True, True)
    assert (pending[3].tried, pending[3].open, pending[3].doubted) == (0, False, False)
    assert pending[9].copies == 2
    assert ledger.counts() == {RowState.ACCEPTED: 1, RowState.IN_FLIGHT: 1, RowState.PENDING: 18}


def test_a_second_outcome_is_refused_with_its_whole_commit(tmp_path: Path) -> None:
    ledger = create(tmp_path, header(), seeds(5))
    ledger.commit([outcome(1)])
    with pytest.raises(Broken):
        ledger.commit([outcome(2), outcome(1)])
    with pytest.raises(LedgerFailed):
        ledger.counts()
    again = open_ledger(tmp_path)
    assert again.counts()[RowState.ACCEPTED] == 1
    again.close()


def test_followers_share_their_leads_outcome(ledger: SqliteLedger) -> None:
    ledger.commit([intent(9), outcome(9)])
    rows = [row for batch in ledger.outcome_rows(7) for row in batch]
    assert [row.row for row in rows] == list(range(1, 21))
    assert [row.state for row in rows if row.row in {9, 10}] == ["accepted", "accepted"]
    assert list(ledger.row_numbers({RowState.ACCEPTED})) == [9, 10]


def test_a_story_is_told_in_order(ledger: SqliteLedger) -> None:
    last = replace(outcome(4), attempt=2)
    told = [intent(4), setback(4), intent(4, 2), last]
    ledger.commit([*told, Act(at_us=1, kind="started", actor="me")])
    ((row, events),) = ledger.story("d4")
    assert row == 4
    assert list(events) == told
    assert [act.kind for act in ledger.acts()] == ["started"]


@pytest.mark.parametrize("damage", [b"", b"x" * 200, b"SQLite format 3\x00" + b"\0" * 84])
def test_what_is_no_ledger_is_refused_untouched(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE).write_bytes(damage)
    with pytest.raises(LedgerFailed):
        open_ledger(tmp_path)
    assert (tmp_path / FILE).read_bytes() == damage


def test_a_newer_ledger_is_refused_untouched(tmp_path: Path) -> None:
    ledger = create(tmp_path, header(), seeds(5))
    ledger._db.execute("PRAGMA user_version = 99")  # noqa: SLF001
    ledger.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(Mismatch):
        open_ledger(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_kill_while_seeding_leaves_nothing_to_resume(tmp_path: Path) -> None:
    (tmp_path / SEEDING).write_bytes(b"half")
    with pytest.raises(BulkpatchError) as refused:
        open_ledger(tmp_path)
    assert (refused.value.code, refused.value.exit_code) == ("BP124", 2)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_ledger_sqlite import intent, outcome
from bulkpatch.ledger.sqlite import open_ledger
ledger = open_ledger(Path(sys.argv[1]))
for row in range(int(sys.argv[3]), 2000):
    if row % 10:
        ledger.commit([intent(row), outcome(row)])
        print(row, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """Ten kills in a row: every row that commit returned for is there, and at most one more."""
    create(tmp_path, header(), seeds(2000)).close()
    first = 1
    for _ in range(10):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent), str(first)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(20)]
        child.kill()
        told += [int(line) for line in child.stdout if line.strip()]
        child.wait()
        child.stdout.close()
        ledger = open_ledger(tmp_path)
        settled = [row for row in ledger.row_numbers({RowState.ACCEPTED}) if row % 10]
        ledger.close()
        assert set(told) <= set(settled)
        assert len(settled) <= len([row for row in range(1, max(told) + 1) if row % 10]) + 1
        first = max(settled) + 1


def test_the_second_holder_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    with RunLock(tmp_path):
        holder = read_holder(tmp_path)
        assert holder is not None
        with pytest.raises(Mismatch, match=f"process {holder.pid} on"), RunLock(tmp_path):
            pass
    assert read_holder(tmp_path) is None


def test_a_linked_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "run.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BulkpatchError), RunLock(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_run_folders_are_private_and_found_again(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path / "reports", "job", 0, "abcd")
    assert folder.name == "job-19700101T000000Z-abcd"
    assert folder.stat().st_mode & 0o777 == 0o700
    create(folder, header(), seeds(1)).close()
    write_private(folder / "run.json", b"{}")
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert resolve_run(tmp_path / "reports", "latest") == folder
    assert resolve_run(tmp_path / "reports", "job-1970") == folder
    with pytest.raises(BulkpatchError, match="no run"):
        resolve_run(tmp_path / "reports", "jab")
