"""What the ledger's tests share: both ledgers behind one handle, rows to seed, records to commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from bulkpatch.ledger.memory import MemoryLedger
from bulkpatch.ledger.opening import create, open_ledger
from bulkpatch.ledger.sqlite import SqliteLedger
from bulkpatch.model import (
    Act,
    Intent,
    Outcome,
    Passed,
    Resolved,
    RowState,
    RunHeader,
    SeedRow,
    Setback,
    Settlement,
    Sight,
    Stage,
)
from bulkpatch.ports import Ledger

Batches: TypeAlias = Iterable[Sequence[SeedRow]]
LEDGERS = ("sqlite", "memory")


class Shelf(Protocol):
    """Where one ledger is kept: seeded once, then opened by one process after another."""

    def seed(self, header: RunHeader, rows: Batches) -> Ledger:
        """A new ledger, open."""
        ...

    def reopen(self) -> Ledger:
        """The ledger as the next process finds it."""
        ...


class SqliteShelf:
    """A folder on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ledger: SqliteLedger | None = None

    def seed(self, header: RunHeader, rows: Batches) -> Ledger:
        """A new ledger, open."""
        self._ledger = create(self._folder, header, rows)
        return self._ledger

    def reopen(self) -> Ledger:
        """Close and open again."""
        self.close()
        self._ledger = open_ledger(self._folder)
        return self._ledger

    def close(self) -> None:
        """Let go of the file."""
        if self._ledger is not None:
            self._ledger.close()


class MemoryShelf:
    """No disk."""

    def __init__(self) -> None:
        self._ledger: MemoryLedger | None = None

    def seed(self, header: RunHeader, rows: Batches) -> Ledger:
        """A new ledger, open."""
        self._ledger = MemoryLedger(header, rows)
        return self._ledger

    def reopen(self) -> Ledger:
        """What a later process would find."""
        assert self._ledger is not None
        self._ledger = self._ledger.reopened()
        return self._ledger

    def close(self) -> None:
        """Nothing to let go of."""


def header(**more: Any) -> RunHeader:
    """A run of no importance."""
    given: dict[str, Any] = {
        "run_id": "j-1",
        "job_name": "j",
        "job_path": "/jobs/j.toml",
        "job_sha256": "0",
        "inputs": (),
        "input_sha256": "1",
        "base_url": "http://127.0.0.1:1",
        "tool_version": "0",
        "created_at_us": 1,
    }
    return RunHeader(**{**given, **more})


def seed(row: int, **more: Any) -> SeedRow:
    """One row, to destination ``d<row>``."""
    given: dict[str, Any] = {"destination_id": f"d{row}", "digest": b"x" * 32, "fields": ("name",)}
    return SeedRow(row=row, **{**given, **more})


def seeds(count: int) -> Iterator[list[SeedRow]]:
    """``count`` rows in one batch; every tenth follows the row before it."""
    yield [seed(n, lead=n - 1, destination_id=f"d{n - 1}") if n % 10 == 0 else seed(n) for n in range(1, count + 1)]


def intent(row: int, attempt: int = 1, stage: Stage = Stage.PATCH, **more: Any) -> Intent:
    """About to be sent, ten microseconds after the attempt before."""
    given: dict[str, Any] = {"at_us": 10 * attempt, "at_s": float(attempt)}
    return Intent(row=row, attempt=attempt, stage=stage, **{**given, **more})


def setback(row: int, attempt: int = 1, **more: Any) -> Setback:
    """Failed for now, with a 500 that counts."""
    given: dict[str, Any] = {"at_us": 10 * attempt + 1, "code": "BP411", "error": "500", "stage": Stage.PATCH}
    return Setback(row=row, attempt=attempt, **{**given, **more})


def withdrawn(row: int, attempt: int = 1) -> Setback:
    """Never left: the run stopped before its turn."""
    return setback(row, attempt, code="BP503", error="not sent", counted=False, withdrawn=True)


def lost(row: int, attempt: int = 1) -> Setback:
    """The process ended before the answer came."""
    return setback(row, attempt, code="BP418", error="lost", maybe_applied=True)


def throttled(row: int, attempt: int = 1) -> Setback:
    """Told to wait."""
    return setback(row, attempt, code="BP406", error="429", http_status=429, counted=False, wait_us=1_000_000)


def outcome(row: int, state: RowState = RowState.ACCEPTED, attempt: int = 1, **more: Any) -> Outcome:
    """Settled."""
    given: dict[str, Any] = {"at_us": 99, "http_status": 200, "latency_us": 5, "stage": Stage.PATCH}
    return Outcome(row=row, attempt=attempt, state=state, **{**given, **more})


def passed(row: int, attempt: int = 1, stage: Stage = Stage.PATCH, **more: Any) -> Passed:
    """Came through ``stage``; another follows."""
    given: dict[str, Any] = {"at_us": 10 * attempt + 1, "http_status": 200, "latency_us": 4}
    return Passed(row=row, attempt=attempt, stage=stage, **{**given, **more})


def sight(row: int, **more: Any) -> Sight:
    """Seen before anything was written."""
    given: dict[str, Any] = {"at_us": 2, "found": True, "vendor": "postgres", "digest": b"live"}
    return Sight(row=row, **{**given, **more})


def resolved(row: int, attempt: int = 1, path: str = "a.password", **more: Any) -> Resolved:
    """Carries a version of a secret."""
    given: dict[str, Any] = {"reference": "vault:a", "version": "7"}
    return Resolved(row=row, attempt=attempt, path=path, **{**given, **more})


def settlement(row: int, state: RowState = RowState.ACCEPTED, **more: Any) -> Settlement:
    """Found out later."""
    given: dict[str, Any] = {"at_us": 500, "code": "BP420"}
    return Settlement(row=row, state=state, **{**given, **more})


def act(kind: str, at_us: int = 1, detail: str = "{}") -> Act:
    """Something that was done to the run."""
    return Act(at_us=at_us, kind=kind, actor="me@here", detail=detail)
