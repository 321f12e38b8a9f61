"""An older ledger is brought up to date after a copy of it was put aside, or stays as it was."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger_rig import header, intent, outcome, passed, resolved, settlement, sight

from bulkpatch.errors import LedgerFailed
from bulkpatch.ledger.opening import APPLICATION_ID, FILE, open_ledger
from bulkpatch.ledger.statements import migrations
from bulkpatch.model import InputFile, RowState, Stage

COPY = f"{FILE}.v1"
HEADER = """{"run_id": "j-1", "job_name": "j", "job_path": "/jobs/j.toml", "job_sha256": "0",
"inputs": [{"path": "/in.csv", "size": 1, "mtime_ns": 2, "sha256": "3"}], "input_sha256": "1",
"base_url": "http://127.0.0.1:1", "tool_version": "0", "created_at_us": 1, "rows": 3, "label_names": ["customer"],
"dry_run": false, "simulated": false, "parent": null}"""
"""As version 1 wrote it; what came later has to have a default."""
SEEDED = (
    ("INSERT INTO meta VALUES ('header', ?)", (HEADER,)),
    ("INSERT INTO fieldset VALUES (1, '[\"name\"]')", ()),
    ("INSERT INTO row VALUES (1, 'd1', x'01', 1, NULL, 1, '[\"ü\"]')", ()),
    ("INSERT INTO row VALUES (2, 'd2', x'02', 1, NULL, 1, '[null]')", ()),
    ("INSERT INTO row VALUES (3, 'd2', x'02', 1, 2, 1, '[\"b\"]')", ()),
)
SINCE = (
    "INSERT INTO intent VALUES (1, 1, 'patch', 10, 1.0)",
    "INSERT INTO outcome VALUES (1, 1, 'patch', 'accepted', 99, 200, NULL, NULL, 5, NULL)",
    "INSERT INTO intent VALUES (2, 1, 'patch', 11, 1.5)",
    "INSERT INTO act VALUES (1, 1, 'started', 'me@here', '{}')",
)


@pytest.fixture
def older(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A ledger of version 1, open: one row accepted, one without an answer and one that follows it."""
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as connection:
        connection.executescript(migrations()[0])
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        for statement, values in SEEDED:
            connection.execute(statement, values)
        connection.execute("PRAGMA journal_mode = wal")
        for statement in SINCE:
            connection.execute(statement)
        yield connection


def names(folder: Path) -> list[str]:
    """What lies in the folder."""
    return sorted(path.name for path in folder.iterdir())


def is_version_1(path: Path) -> None:
    """The file is a sound ledger of version 1, with all that was in it and nothing of a later one."""
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert plain.execute("PRAGMA user_version").fetchone() == (1,)
        assert plain.execute("SELECT row, attempt FROM intent").fetchall() == [(1, 1), (2, 1)]
        tables = {name for (name,) in plain.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert tables == {"meta", "fieldset", "row", "intent", "setback", "outcome", "act"}


@pytest.mark.proves("G17")
def test_an_older_ledger_opens_with_all_it_held(tmp_path: Path, older: sqlite3.Connection) -> None:
    """And keeps from then on what only a later one can, for good."""
    older.close()
    inputs = (InputFile(path="/in.csv", size=1, mtime_ns=2, sha256="3"),)
    with closing(open_ledger(tmp_path)) as ledger:
        assert ledger.header() == header(rows=3, inputs=inputs, label_names=("customer",))
        assert ledger.counts() == {RowState.ACCEPTED: 1, RowState.IN_FLIGHT: 2}
        assert [(row.row, row.attempt, row.open, row.copies) for row in ledger.pending_between(1, 9)] == [
            (2, 1, True, 2)
        ]
        assert [list(events) for _, events in ledger.story("d1")] == [
            [intent(1), outcome(1)],
        ]
        assert [row.labels for rows in ledger.outcome_rows() for row in rows] == ['["ü"]', "[null]", '["b"]']
        assert [act.kind for act in ledger.acts()] == ["started"]
        assert list(ledger.credential_rows()) == []
        ledger.commit([resolved(2), sight(2), passed(2), outcome(2, RowState.UNKNOWN), settlement(2)])
    with closing(open_ledger(tmp_path)) as again:
        assert again.counts() == {RowState.ACCEPTED: 3}
        assert len(again.story("d2")[0][1]) == 5
    assert int.from_bytes((tmp_path / FILE).read_bytes()[60:64], "big") == len(migrations())


def test_a_ledger_of_version_2_opens_with_all_it_held(tmp_path: Path, older: sqlite3.Connection) -> None:
    """What the second version added is kept, and the copy that is put aside says which version it is of."""
    older.executescript(migrations()[1])
    older.execute("PRAGMA user_version = 2")
    older.execute("INSERT INTO passed VALUES (2, 1, 'patch', 12, 200, 5, NULL, NULL)")
    older.close()
    with closing(open_ledger(tmp_path)) as ledger:
        assert [(row.row, row.passed) for row in ledger.pending_between(1, 9)] == [(2, Stage.PATCH)]
        assert list(ledger.credential_rows()) == []
        ledger.commit([intent(2, 2, Stage.VERIFY), outcome(2, RowState.VERIFIED, 2, stage=Stage.VERIFY)])
        assert ledger.counts() == {RowState.ACCEPTED: 1, RowState.VERIFIED: 2}
    assert names(tmp_path) == [FILE, f"{FILE}.v2"]


@pytest.mark.proves("G17")
def test_what_it_was_is_put_aside_once(tmp_path: Path, older: sqlite3.Connection) -> None:
    """Private, whole, and not touched again; nothing else is left."""
    older.close()
    open_ledger(tmp_path).close()
    assert names(tmp_path) == [FILE, COPY]
    before = (tmp_path / COPY).read_bytes()
    assert (tmp_path / COPY).stat().st_mode & 0o777 == 0o600
    with closing(open_ledger(tmp_path)) as again:
        again.commit([outcome(2)])
    assert names(tmp_path) == [FILE, COPY]
    assert (tmp_path / COPY).read_bytes() == before
    is_version_1(tmp_path / COPY)


@pytest.mark.proves("G17")
def test_what_only_the_log_held_is_put_aside_too(tmp_path: Path, older: sqlite3.Connection) -> None:
    """A process that was killed leaves its last commits in the write-ahead log."""
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in (FILE, f"{FILE}-wal"):
        shutil.copy(tmp_path / name, killed / name)
    older.close()
    with closing(open_ledger(killed)) as ledger:
        assert ledger.counts() == {RowState.ACCEPTED: 1, RowState.IN_FLIGHT: 2}
    is_version_1(killed / COPY)
    assert names(killed) == [FILE, COPY]


@pytest.mark.proves("G17")
def test_a_migration_that_fails_leaves_the_older_ledger(tmp_path: Path, older: sqlite3.Connection) -> None:
    """Not half of the new one: what stood in the way gone, it opens as if nothing had been."""
    older.execute("CREATE TABLE settlement (in_the_way)")
    older.close()
    with pytest.raises(LedgerFailed):
        open_ledger(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE)) as plain:
        plain.execute("DROP TABLE settlement")
        plain.commit()
    is_version_1(tmp_path / FILE)
    with closing(open_ledger(tmp_path)) as ledger:
        assert ledger.counts() == {RowState.ACCEPTED: 1, RowState.IN_FLIGHT: 2}


def test_half_a_copy_is_made_again(tmp_path: Path, older: sqlite3.Connection) -> None:
    """Left by a kill; a link in its place is not followed."""
    older.close()
    (tmp_path / "precious").write_bytes(b"kept")
    (tmp_path / f"{COPY}.part").symlink_to(tmp_path / "precious")
    open_ledger(tmp_path).close()
    assert names(tmp_path) == [FILE, COPY, "precious"]
    assert (tmp_path / "precious").read_bytes() == b"kept"
    is_version_1(tmp_path / COPY)


def test_a_whole_copy_is_not_made_again(tmp_path: Path, older: sqlite3.Connection) -> None:
    """It was made by a process that was killed before it went on: of the same ledger, for nothing had changed."""
    older.close()
    (tmp_path / COPY).write_bytes(b"the copy")
    open_ledger(tmp_path).close()
    assert (tmp_path / COPY).read_bytes() == b"the copy"
