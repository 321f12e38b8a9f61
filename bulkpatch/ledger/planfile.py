"""A saved plan: the ledger of a run that has not begun, sealed by a hash over all of it, and used once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from bulkpatch.errors import InvalidInput, LedgerFailed, Mismatch, Problem
from bulkpatch.ledger.faults import disk_faults
from bulkpatch.ledger.opening import APPLICATION_ID, FILE, MAGIC, SEEDING
from bulkpatch.ledger.sqlite import header_of
from bulkpatch.ledger.statements import migrations, sql
from bulkpatch.model import PendingRow, RunHeader

PLAN_APPLICATION_ID: Final = 0x62707031  # "bpp1"
_TABLES: Final = ("meta", "fieldset", "row", "sight", "outcome", "act")
_OWN: Final = ("seal", "used")
_HEAD_BYTES: Final = 100


class SavedPlan:
    """What a plan file says. ``pending_between`` tells its rows as a ledger does."""

    def __init__(self, header: RunHeader, path: Path) -> None:
        self.header = header
        self._path = path

    def pending_between(self, first: int, last: int) -> Sequence[PendingRow]:
        """The rows ``first``…``last``: number, id and digest."""
        statement = "SELECT row, destination_id, digest FROM row WHERE row BETWEEN ? AND ? ORDER BY row"
        with disk_faults():
            connection = _connect(self._path)
            try:
                found = connection.execute(statement, (first, last)).fetchall()
            finally:
                connection.close()
        return [PendingRow(row=row, destination_id=one, digest=digest) for row, one, digest in found]


def is_plan(path: Path) -> bool:
    """Whether ``path`` is a plan file by its name or by its content."""
    try:
        return path.suffix == ".bpplan" or _application(path) == PLAN_APPLICATION_ID
    except OSError:
        return False


def refuse_plan_file(out: Path, *, stdin: bool) -> None:
    """Raise ``InvalidInput`` where no plan can be kept at ``out``."""
    if stdin:
        words, code = "a plan of standard input cannot be kept: nobody could read it again", "BP201"
    elif os.path.lexists(out):
        words, code = f"{out} exists already", "BP125"
    elif not out.parent.is_dir():
        words, code = f"there is no folder {out.parent}", "BP122"
    else:
        return
    raise InvalidInput([Problem(code=code, message=words, hint="Name a new file: -o FILE.bpplan")])


def write_plan(folder: Path, out: Path) -> None:
    """Seal the closed ledger in ``folder`` and put it at ``out``, 0600; nothing is overwritten."""
    aside = folder / "plan"
    with disk_faults():
        shutil.copyfile(folder / FILE, aside)
        connection = _connect(aside)
        try:
            connection.execute("INSERT INTO meta VALUES ('seal', ?)", (_seal(connection),))
            connection.execute(f"PRAGMA application_id = {PLAN_APPLICATION_ID}")
            connection.commit()
        finally:
            connection.close()
        descriptor = os.open(out, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as target, aside.open("rb") as source:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())


def read_plan(path: Path) -> SavedPlan:
    """The plan at ``path``, found whole and unused. Raises ``Mismatch`` (BP613, BP604)."""
    try:
        application = _application(path)
    except OSError as error:
        words = f"the plan {path} cannot be read: {os.strerror(error.errno or 0).lower()}"
        raise InvalidInput([Problem(code="BP101", message=words, hint="Check the path.")]) from None
    if application != PLAN_APPLICATION_ID:
        raise Mismatch("BP613", f"{path} is no plan of bulkpatch")
    try:
        connection = _connect(path)
        try:
            meta = dict(connection.execute("SELECT key, value FROM meta"))
            if connection.execute("PRAGMA user_version").fetchone()[0] != len(migrations()):
                raise Mismatch("BP604", f"{path} was made by another version of bulkpatch: make the plan again")
            if meta.get("seal") != _seal(connection):
                raise Mismatch("BP613", f"{path} was changed since it was made")
            header = header_of(connection)
        finally:
            connection.close()
    except (sqlite3.Error, LedgerFailed):
        raise Mismatch("BP613", f"{path} is damaged") from None
    if "used" in meta:
        raise Mismatch("BP613", f"{path} was used already, by {meta['used']}", hint="Resume that run, or plan anew.")
    return SavedPlan(header, path)


def use_plan(path: Path, folder: Path, header: RunHeader, *, runs: Sequence[Path]) -> None:
    """Make the plan the ledger of the run in ``folder``, and mark it as used. Raises ``Mismatch`` if it was.

    The mark is durable before the ledger has its name: a crash between the two costs the plan, not a second run.
    """
    plan = read_plan(path).header.run_id
    for other in runs:
        if other.name != folder.name and _plan_of(other) == plan:
            raise Mismatch("BP613", f"{path} was used already, by {other.name}")
    seeding = folder / SEEDING
    with disk_faults():
        os.close(os.open(seeding, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o600))
        shutil.copyfile(path, seeding)
        connection = _connect(seeding)
        try:
            connection.execute("DELETE FROM meta WHERE key IN ('seal', 'used')")
            connection.execute("UPDATE meta SET value = ? WHERE key = 'header'", (json.dumps(asdict(header)),))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.commit()
        finally:
            connection.close()
    _mark(path, header.run_id)
    with disk_faults():
        _sync(seeding)
        seeding.rename(folder / FILE)
        _sync(folder)


def _mark(path: Path, run_id: str) -> None:
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("INSERT INTO meta VALUES ('used', ?)", (run_id,))
        finally:
            connection.close()
    except sqlite3.IntegrityError:
        raise Mismatch("BP613", f"{path} is being used by another run") from None
    except sqlite3.Error:
        words = f"{path} cannot be marked as used"
        raise InvalidInput([Problem(code="BP613", message=words, hint="Put it where it can be written.")]) from None


def _seal(connection: sqlite3.Connection) -> str:
    digest = hashlib.sha256()
    for table in _TABLES:
        for line in _lines(connection, table):
            digest.update(line)
    return digest.hexdigest()


def _lines(connection: sqlite3.Connection, table: str) -> Iterator[bytes]:
    yield table.encode()
    for line in connection.execute(sql(f"sealed_{table}")):
        yield repr(line).encode()


def _plan_of(folder: Path) -> str | None:
    """The plan that a run says it came from."""
    try:
        return str(json.loads((folder / "run.json").read_text("utf-8")).get("plan"))
    except (OSError, ValueError):
        return None


def _application(path: Path) -> int:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return int.from_bytes(head[68:72], "big") if head.startswith(MAGIC) else 0


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
