"""On SQLite: what was acknowledged is on the disk, and what is no ledger of ours is refused as it lies there."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger_rig import header, intent, outcome, seed, seeds

from bulkpatch.errors import Broken, BulkpatchError, ExitCode, LedgerFailed, Mismatch
from bulkpatch.ledger.faults import disk_faults, translated
from bulkpatch.ledger.opening import APPLICATION_ID, FILE, SEEDING, create, open_ledger
from bulkpatch.ledger.sqlite import SqliteLedger
from bulkpatch.ledger.statements import migrations
from bulkpatch.model import RowState, SeedRow


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    """Twenty rows, two of them repeats."""
    with closing(create(tmp_path, header(), seeds(20))) as made:
        yield made


def ask(ledger: SqliteLedger, question: str) -> object:
    """What SQLite answers on the ledger's own connection."""
    (answer,) = ledger._db.execute(question).fetchone()  # noqa: SLF001
    return answer


# ── what lies on the disk ────────────────────────────────────────────────────────────────────


@pytest.mark.proves("G14")
def test_it_is_durable_by_its_pragmas(tmp_path: Path, ledger: SqliteLedger) -> None:
    """WAL, FULL and exclusive, whatever the library's defaults are; when it is seeded and when it is opened."""
    found = [[ask(ledger, f"PRAGMA {name}") for name in ("journal_mode", "synchronous", "locking_mode")]]
    ledger.close()
    with closing(open_ledger(tmp_path)) as again:
        found.append([ask(again, f"PRAGMA {name}") for name in ("journal_mode", "synchronous", "locking_mode")])
    assert found == [["wal", 2, "exclusive"]] * 2


def test_its_file_says_what_it_is(tmp_path: Path, ledger: SqliteLedger) -> None:
    """SQLite's magic, our application id, and as version the number of migrations."""
    ledger.close()
    head = (tmp_path / FILE).read_bytes()[:100]
    assert head[:16] == b"SQLite format 3\x00"
    assert int.from_bytes(head[68:72], "big") == APPLICATION_ID == int.from_bytes(b"bpl1", "big")
    assert int.from_bytes(head[60:64], "big") == len(migrations())


def test_migrations_are_numbered_without_a_gap() -> None:
    folder = Path(sys.modules[SqliteLedger.__module__].__file__ or "").parent / "sql" / "migrations"
    names = sorted(path.name for path in folder.iterdir())
    assert [name[:5] for name in names] == [f"{number:04d}_" for number in range(1, len(names) + 1)]
    assert all(re.fullmatch(r"[0-9]{4}_[a-z_]+\.sql", name) for name in names)
    assert len(migrations()) == len(names)


def test_nobody_else_reads_along(tmp_path: Path, ledger: SqliteLedger) -> None:
    """A second connection would bring back the bugs of WAL; it is locked out from the first moment."""
    ledger.commit([intent(1)])
    with closing(sqlite3.connect(tmp_path / FILE, timeout=0)) as other, pytest.raises(sqlite3.OperationalError):
        other.execute("SELECT * FROM row")


def test_its_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with closing(create(tmp_path, header(), seeds(20))) as ledger:
            ledger.commit([intent(1)])
            found = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert found == {FILE: 0o600, f"{FILE}-wal": 0o600}


def test_a_closed_ledger_is_one_file(tmp_path: Path, ledger: SqliteLedger) -> None:
    """The write-ahead log is folded back, also when somebody stopped reading halfway."""
    ledger.commit([intent(1), outcome(1)])
    begun, numbers = ledger.outcome_rows(1), ledger.row_numbers({RowState.NOT_ATTEMPTED})
    assert (next(begun)[0].row, next(numbers)) == (1, 2)
    ledger.close()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    with closing(sqlite3.connect(tmp_path / FILE)) as plain:
        assert plain.execute("SELECT row, state FROM outcome").fetchall() == [(1, "accepted")]


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from ledger_rig import intent, outcome
from bulkpatch.ledger.opening import open_ledger
ledger = open_ledger(Path(sys.argv[1]))
for row in range(int(sys.argv[3]), 2000):
    if row % 10:
        ledger.commit([intent(row), outcome(row)])
        print(row, flush=True)
"""


@pytest.mark.proves("G2", "G14")
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """Six kills in a row: every row that commit returned for is there, and at most one more."""
    create(tmp_path, header(), seeds(2000)).close()
    first = 1
    for _ in range(6):
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


# ── seeding ──────────────────────────────────────────────────────────────────────────────────


def test_a_ledger_gets_its_name_when_all_of_it_is_there(tmp_path: Path) -> None:
    """While rows still come, nothing lies under the name; what is there is private and cannot be resumed."""
    seen: list[list[str]] = []

    def rows() -> Iterator[list[SeedRow]]:
        for batch in ([seed(1)], [seed(2)]):
            yield batch
            seen.append([path.name for path in tmp_path.iterdir()])

    create(tmp_path, header(), rows()).close()
    assert seen == [[SEEDING], [SEEDING]]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


class Torn(Exception):
    """The input broke off."""


def test_seeding_that_fails_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    """And what it failed of is told as it is; the run never began."""

    def rows() -> Iterator[list[SeedRow]]:
        yield [seed(1)]
        raise Torn

    with pytest.raises(Torn):
        create(tmp_path, header(), rows())
    assert not (tmp_path / FILE).exists()
    with pytest.raises(BulkpatchError) as refused:
        open_ledger(tmp_path)
    assert (refused.value.code, refused.value.exit_code) == ("BP124", ExitCode.INVALID)


def test_a_kill_while_seeding_leaves_nothing_to_resume(tmp_path: Path) -> None:
    (tmp_path / SEEDING).write_bytes(b"half")
    with pytest.raises(BulkpatchError) as refused:
        open_ledger(tmp_path)
    assert (refused.value.code, refused.value.exit_code) == ("BP124", ExitCode.INVALID)
    assert (tmp_path / SEEDING).read_bytes() == b"half"


def test_a_folder_without_a_ledger_holds_no_run(tmp_path: Path) -> None:
    with pytest.raises(BulkpatchError) as refused:
        open_ledger(tmp_path)
    assert (refused.value.code, refused.value.exit_code) == ("BP123", ExitCode.INVALID)
    assert list(tmp_path.iterdir()) == []


def test_seeding_begins_in_a_folder_of_its_own_only(tmp_path: Path) -> None:
    """Half a ledger, or a link somebody laid, is neither written over nor followed."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / SEEDING).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerFailed):
        create(tmp_path / "run", header(), seeds(1))
    assert not (tmp_path / "elsewhere").exists()


# ── what is refused ──────────────────────────────────────────────────────────────────────────


def foreign() -> bytes:
    """A sound SQLite database of somebody else's."""
    with closing(sqlite3.connect(":memory:")) as other:
        other.execute("CREATE TABLE meta (key, value)")
        return other.serialize()


@pytest.mark.parametrize(
    "damage",
    [b"", b"x" * 200, b"SQLite format 3\x00" + b"\0" * 84, foreign()],
    ids=["zero bytes", "no database", "a blank head", "foreign"],
)
def test_what_is_no_ledger_is_refused_untouched(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE).write_bytes(damage)
    with pytest.raises(LedgerFailed) as refused:
        open_ledger(tmp_path)
    assert (refused.value.code, refused.value.exit_code) == ("BP605", ExitCode.LEDGER)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {FILE: damage}


@pytest.mark.parametrize("left", [99, 100, 5_000, -1])
def test_a_truncated_ledger_is_refused_untouched(tmp_path: Path, ledger: SqliteLedger, left: int) -> None:
    ledger.close()
    cut = (tmp_path / FILE).read_bytes()[:left]
    (tmp_path / FILE).write_bytes(cut)
    with pytest.raises(LedgerFailed) as refused:
        open_ledger(tmp_path)
    assert refused.value.code == "BP605"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {FILE: cut}


def test_a_damaged_page_is_told_and_left_as_it_is(tmp_path: Path, ledger: SqliteLedger) -> None:
    """No answer is made up from a file whose inside is broken."""
    page = int(str(ask(ledger, "SELECT rootpage FROM sqlite_schema WHERE name = 'row'")))
    size = int(str(ask(ledger, "PRAGMA page_size")))
    ledger.close()
    content = bytearray((tmp_path / FILE).read_bytes())
    content[(page - 1) * size : page * size] = b"\xa5" * size
    (tmp_path / FILE).write_bytes(content)
    with closing(open_ledger(tmp_path)) as damaged, pytest.raises(LedgerFailed) as refused:
        damaged.counts()
    assert refused.value.code == "BP605"
    assert (tmp_path / FILE).read_bytes() == bytes(content)


@pytest.mark.proves("G17")
def test_a_newer_ledger_is_refused_untouched(tmp_path: Path, ledger: SqliteLedger) -> None:
    """Before SQLite sees it: even the journal it chose, which opening would change, stays."""
    ledger.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as newer:
        newer.execute("PRAGMA user_version = 99")
        newer.execute("PRAGMA journal_mode = delete")
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(Mismatch) as refused:
        open_ledger(tmp_path)
    assert (refused.value.code, refused.value.exit_code) == ("BP604", ExitCode.MISMATCH)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {FILE: before}


@pytest.mark.proves("G17")
def test_a_newer_version_that_was_killed_is_noticed_too(tmp_path: Path, ledger: SqliteLedger) -> None:
    """Its mark stands in the write-ahead log only: the main file still looks like ours."""
    ledger._db.execute("PRAGMA user_version = 99")  # noqa: SLF001
    left = tmp_path / "left"
    left.mkdir()
    for name in (FILE, f"{FILE}-wal"):
        shutil.copy(tmp_path / name, left / name)
    assert int.from_bytes((left / FILE).read_bytes()[60:64], "big") == len(migrations())
    with pytest.raises(Mismatch) as refused:
        open_ledger(left)
    assert refused.value.code == "BP604"
    with closing(sqlite3.connect(left / FILE)) as plain:
        assert plain.execute("PRAGMA user_version").fetchone() == (99,)


def test_a_linked_ledger_is_not_followed(tmp_path: Path, ledger: SqliteLedger) -> None:
    """Neither to a ledger of another run nor to a file that is not there yet."""
    ledger.close()
    for number, target in enumerate((tmp_path / FILE, tmp_path / "nowhere")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / FILE).symlink_to(target)
        with pytest.raises(LedgerFailed):
            open_ledger(folder)
    assert not (tmp_path / "nowhere").exists()


# ── a disk that is full or failing ───────────────────────────────────────────────────────────


@pytest.mark.proves("G14")
def test_a_full_disk_ends_the_use_and_loses_nothing(tmp_path: Path, ledger: SqliteLedger) -> None:
    """What was acknowledged is there, of the commit that failed nothing is, and with room it goes on."""
    ledger.commit([intent(1), outcome(1)])
    ledger._db.execute(f"PRAGMA max_page_count = {ask(ledger, 'PRAGMA page_count')}")  # noqa: SLF001
    with pytest.raises(LedgerFailed) as refused:
        ledger.commit([intent(2), outcome(2, error="x" * 100_000)])
    assert (refused.value.code, refused.value.exit_code) == ("BP606", ExitCode.LEDGER)
    with pytest.raises(LedgerFailed):
        ledger.commit([intent(3)])
    with closing(open_ledger(tmp_path)) as again:
        assert again.counts() == {RowState.ACCEPTED: 1, RowState.PENDING: 19}
        again.commit([intent(2), outcome(2, error="x" * 100_000)])
        assert ask(again, "PRAGMA integrity_check") == "ok"


def test_a_commit_that_cannot_be_made_is_neither_read_nor_kept(tmp_path: Path, ledger: SqliteLedger) -> None:
    """A number beyond 64 bits fails in the driver, after other records went in: they go with it."""
    with pytest.raises(Broken) as refused:
        ledger.commit([intent(1), intent(2, at_us=2**63)])
    assert refused.value.code == "BP901"
    with pytest.raises(LedgerFailed):
        ledger.counts()
    with closing(open_ledger(tmp_path)) as again:
        assert again.counts() == {RowState.PENDING: 20}


class Interrupting:
    """A value at which the process is interrupted."""

    def __conform__(self, protocol: object) -> None:
        raise KeyboardInterrupt


@pytest.mark.proves("G14")
def test_a_commit_that_is_interrupted_keeps_nothing(tmp_path: Path, ledger: SqliteLedger) -> None:
    """Whatever breaks in, the half-made transaction is never read and never joined to the next."""
    with pytest.raises(KeyboardInterrupt):
        ledger.commit([intent(1), outcome(1, facts=Interrupting())])
    with pytest.raises(LedgerFailed):
        ledger.counts()
    with closing(open_ledger(tmp_path)) as again:
        assert again.counts() == {RowState.PENDING: 20}


def sqlite_error(name: str, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    """As the driver raises it."""
    error = kind("no value of ours")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (OSError(errno.ENOSPC, "full"), LedgerFailed, "BP606"),
        (OSError(errno.EDQUOT, "quota"), LedgerFailed, "BP606"),
        (OSError(errno.EIO, "input/output"), LedgerFailed, "BP607"),
        (sqlite_error("SQLITE_FULL"), LedgerFailed, "BP606"),
        (sqlite_error("SQLITE_BUSY"), Mismatch, "BP601"),
        (sqlite_error("SQLITE_LOCKED"), Mismatch, "BP601"),
        (sqlite_error("SQLITE_IOERR_FSYNC"), LedgerFailed, "BP607"),
        (sqlite_error("SQLITE_NOTADB", sqlite3.DatabaseError), LedgerFailed, "BP605"),
        (sqlite_error("SQLITE_CORRUPT", sqlite3.DatabaseError), LedgerFailed, "BP605"),
        (sqlite_error("SQLITE_CORRUPT_INDEX", sqlite3.DatabaseError), LedgerFailed, "BP605"),
        (sqlite_error("SQLITE_CONSTRAINT_PRIMARYKEY", sqlite3.IntegrityError), Broken, "BP901"),
        (sqlite3.ProgrammingError("closed"), LedgerFailed, "BP607"),
    ],
)
def test_every_fault_of_the_disk_has_its_code(error: OSError | sqlite3.Error, kind: type[Exception], code: str) -> None:
    """And none brings along the words of the library."""
    found = translated(error)
    assert (type(found), found.code) == (kind, code)
    assert str(error) not in f"{found.message} {found.hint}"


def test_a_full_device_is_told_as_a_full_disk() -> None:
    """By the kernel's own error, without the library's words behind it."""
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(LedgerFailed) as refused, disk_faults():
        os.write(full, b"x")
    os.close(full)
    assert refused.value.code == "BP606"
    assert (refused.value.__cause__, refused.value.__suppress_context__) == (None, True)
