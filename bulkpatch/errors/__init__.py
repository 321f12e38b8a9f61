"""What can end a command, and with which exit code.

    BulkpatchError                      code, message, hint, exit code
    ├── InvalidInput        exit 2      job, rows, flags or references: every problem at once
    ├── NotConfirmed        exit 2      a sending command without its consent
    ├── StoreFailed         exit 3      a secret store failed after the start; what was not sent stays pending
    ├── Unreachable         exit 3      the fleet could not be read; nothing was written
    ├── KeyRefused          exit 4      the API refuses the key, or is not who it should be
    ├── Mismatch            exit 6      held by another process, or job, input or version moved
    ├── LedgerFailed        exit 8      damaged ledger, or a disk that is full or failing
    └── Broken              exit 70     a guarantee did not hold: a bug, or a leak was found

A failed row is never an exception: it is data in the ledger. An exception ends the command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bulkpatch.errors.codes import CODES, Explanation

__all__ = [
    "CODES",
    "EXIT_MEANINGS",
    "Broken",
    "BulkpatchError",
    "ExitCode",
    "Explanation",
    "InvalidInput",
    "KeyRefused",
    "LedgerFailed",
    "Mismatch",
    "NotConfirmed",
    "Problem",
    "StoreFailed",
    "Unreachable",
]


class ExitCode(IntEnum):
    """The process exit codes that users script against."""

    DONE = 0
    ROWS_FAILED = 1
    INVALID = 2
    STOPPED = 3
    KEY_REFUSED = 4
    WORK_TO_DO = 5
    MISMATCH = 6
    UNKNOWN_ROWS = 7
    LEDGER = 8
    INTERNAL = 70
    SIGINT = 130
    SIGTERM = 143


EXIT_MEANINGS: Final[Mapping[ExitCode, str]] = {
    ExitCode.DONE: "every row done",
    ExitCode.ROWS_FAILED: "finished; some rows failed",
    ExitCode.INVALID: "usage, job, input or a secret reference invalid: nothing was sent",
    ExitCode.STOPPED: "stopped by a guard, a gate, the breaker or `abort`; resumable",
    ExitCode.KEY_REFUSED: "the API refused the key, or is not who it should be",
    ExitCode.WORK_TO_DO: "only with `plan --detailed-exitcode`: there is work to do",
    ExitCode.MISMATCH: "held by another process, or job, input or ledger version no longer match",
    ExitCode.UNKNOWN_ROWS: "finished, and some rows are `unknown`: they may have been applied",
    ExitCode.LEDGER: "ledger damaged, or disk full or failing",
    ExitCode.INTERNAL: "internal error",
    ExitCode.SIGINT: "interrupted by SIGINT; the ledger is safe",
    ExitCode.SIGTERM: "interrupted by SIGTERM; the ledger is safe",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with what the user gave, and where.

    ``line`` and ``column`` count from 1; ``column_name`` is the input column. ``frame`` is the
    quoted source around it, already free of secret cells. ``hint`` says how to mend it.
    """

    code: str
    message: str
    hint: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    column_name: str | None = None
    row: int | None = None
    frame: str = ""
    warning: bool = False

    @property
    def place(self) -> str:
        """``file:line:column, row N``, as far as known."""
        if not self.file:
            return ""
        parts = [self.file]
        if self.line is not None:
            parts.append(str(self.line))
            if self.column is not None:
                parts.append(str(self.column))
        return ":".join(parts) + (f", row {self.row}" if self.row is not None else "")


class BulkpatchError(Exception):
    """Ends a command: a stable code, one sentence of what, one of what to do."""

    exit_code = ExitCode.INTERNAL

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class InvalidInput(BulkpatchError):
    """Something the user gave does not hold; ``problems`` lists all that was found."""

    exit_code = ExitCode.INVALID

    def __init__(self, problems: Sequence[Problem], *, omitted: int = 0) -> None:
        first = problems[0]
        super().__init__(first.code, first.message, hint=first.hint)
        self.problems = tuple(problems)
        self.omitted = omitted


class NotConfirmed(BulkpatchError):
    """A sending command was not given the consent it needs; nothing was sent."""

    exit_code = ExitCode.INVALID


class StoreFailed(BulkpatchError):
    """A reference gave nothing usable when its turn came: the run stops and can be resumed."""

    exit_code = ExitCode.STOPPED


class Unreachable(BulkpatchError):
    """The API could not be reached or read for as long as it was tried; nothing was written to it."""

    exit_code = ExitCode.STOPPED


class KeyRefused(BulkpatchError):
    """The API refused the key, or is not who it should be."""

    exit_code = ExitCode.KEY_REFUSED


class Mismatch(BulkpatchError):
    """Another process holds the run, or what was sealed no longer matches."""

    exit_code = ExitCode.MISMATCH


class LedgerFailed(BulkpatchError):
    """The ledger is damaged or its disk is full or failing."""

    exit_code = ExitCode.LEDGER


class Broken(BulkpatchError):
    """A guarantee did not hold."""

    exit_code = ExitCode.INTERNAL
