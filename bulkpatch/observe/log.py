"""Events → ``log.jsonl``: one JSON object a line, of known fields only."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, assert_never

import structlog

from bulkpatch.errors import BulkpatchError, InvalidInput, LedgerFailed, Problem
from bulkpatch.model import (
    AttemptSent,
    Event,
    Notice,
    Outcome,
    Progressed,
    RowSetBack,
    RowSettled,
    RunEnded,
    RunStarted,
    Setback,
    Snapshot,
)
from bulkpatch.observe.words import FAILED
from bulkpatch.ports import Clock, Redactor

FIELDS = frozenset({
    "at", "run", "event", "job", "base_url", "rate", "concurrency", "timeout_s", "attempts", "guard", "resumed",
    "row", "destination_id", "stage", "attempt", "state", "code", "error", "message", "http_status", "latency_ms",
    "wait_ms", "counted", "maybe_applied", "total", "left", "in_doubt", "settled", "states", "in_flight", "sends",
    "retries", "throttled", "rate_now", "p50_ms", "p95_ms", "elapsed_s", "left_s", "bound_by", "stopping",
    "status", "exit_code", "reason", "log_lost", "log_dropped_fields",
})  # fmt: skip
"""All that a line may hold. A field that is not here is left out and counted: it may not be harmless."""

VERBOSE_REQUESTS = 2
"""The verbosity (-vv) from which on every request and row has its line, which costs about as much as the row itself."""

PROGRESS_S = 10.0
"""Seconds between two lines of progress: 8,640 a day."""

LOG_BYTES_MAX = 256 * 1024 * 1024
"""Beyond it lines about rows are left out and counted; the ledger has them all."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class EventLog:
    """The port ``Observer`` that writes the run's log.

    ``path`` is created 0600 or appended to; a link or anything but a regular file is refused
    (``InvalidInput``; ``LedgerFailed`` where the disk is full or fails). After that no failure is
    raised: a line that cannot be written is counted in ``lost``, a field that is not known in
    ``dropped_fields``.
    """

    def __init__(self, path: Path, *, run_id: str, redactor: Redactor, clock: Clock, verbosity: int = 0) -> None:
        self.every_request = verbosity >= VERBOSE_REQUESTS
        self.dropped_fields = 0
        self._clock = clock
        self._redactor = redactor
        self._progress_due_s = clock.monotonic()
        self._file = _LineFile(path)
        self._log = structlog.wrap_logger(
            self._file,
            processors=[self._only_known, self._dated, self._scrubbed, _one_line],
            wrapper_class=_Lines,
            context_class=dict,
            cache_logger_on_first_use=False,
        ).bind(run=run_id)

    @property
    def lost(self) -> int:
        """Lines that are missing from the file."""
        return self._file.lost

    def notify(self, event: Event) -> None:
        """Write what ``event`` says, if it is for this log."""
        match event:
            case RunStarted():
                self._write("run_started", _started(event))
            case AttemptSent() if self.every_request:
                self._write_row("attempt_sent", event.destination_id, _attempt(event))
            case RowSetBack():
                self._write_row("row_set_back", event.destination_id, _setback(event.setback))
            case RowSettled(outcome=outcome) if self.every_request or outcome.state in FAILED:
                self._write_row("row_settled", event.destination_id, _outcome(outcome))
            case Notice():
                self._write("notice", {"code": event.code, "message": event.message})
            case Progressed():
                self._progress(event.snapshot)
            case RunEnded(result=result):
                told = {
                    "status": result.status,
                    "exit_code": result.exit_code,
                    "code": result.code,
                    "reason": result.reason,
                }
                lost = {"log_lost": self.lost, "log_dropped_fields": self.dropped_fields}
                self._write("run_ended", told | _snapshot(result.snapshot) | lost)
            case AttemptSent() | RowSettled():
                pass
            case _:
                assert_never(event)

    def write(self, event: str, **fields: Any) -> None:
        """One line about something that is no event of a run; fields outside ``FIELDS`` are dropped."""
        self._write(event, fields)

    def close(self) -> None:
        """Let the file go. Lines that come later are lost."""
        self._file.close()

    def _progress(self, snapshot: Snapshot) -> None:
        now_s = self._clock.monotonic()
        if now_s >= self._progress_due_s:
            self._progress_due_s = now_s + PROGRESS_S
            self._write("progress", _snapshot(snapshot))

    def _write_row(self, event: str, destination_id: str, fields: Mapping[str, Any]) -> None:
        if self._file.written >= LOG_BYTES_MAX:
            self._file.lost += 1
        else:
            self._write(event, {"destination_id": destination_id, **fields})

    def _write(self, event: str, fields: Mapping[str, Any]) -> None:
        try:
            self._log.line(event, **fields)
        except Exception:  # noqa: BLE001 - a line of the log must never stop a run; it is counted
            self._file.lost += 1

    def _only_known(self, _: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        known = {name: value for name, value in line.items() if name in FIELDS}
        self.dropped_fields += len(line) - len(known)
        return {name: value for name, value in known.items() if value is not None and value != ""}

    def _dated(self, _: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        at = _EPOCH + timedelta(microseconds=self._clock.wall_us())
        return {"at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "event": line.pop("event"), **line}

    def _scrubbed(self, _: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {name: self._clean(value) for name, value in line.items()}

    def _clean(self, value: Any) -> Any:
        match value:
            case str():
                return self._redactor.scrub(value)
            case None | bool() | int() | float():
                return value
            case Mapping():
                return {self._clean(str(name)): self._clean(inner) for name, inner in value.items()}
            case list() | tuple():
                return [self._clean(inner) for inner in value]
            case _:
                return f"<{type(value).__name__}>"


class _Lines(structlog.BoundLoggerBase):
    def line(self, event: str, **fields: Any) -> None:
        self._proxy_to_logger("msg", event, **fields)


class _LineFile:
    """What structlog writes to: whole lines, appended, never raising."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise _translated(path, error) from None
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise _unusable(path, "it is no regular file")
        self.lost = 0
        self.written = found.st_size
        self._torn = found.st_size > 0 and os.pread(self._descriptor, 1, found.st_size - 1) != b"\n"

    def msg(self, line: str) -> None:
        data = b"\n" * self._torn + line.encode()
        try:
            done = os.write(self._descriptor, data)
        except OSError:
            done = 0
        self.written += done
        self.lost += done < len(data)
        self._torn = data[:done][-1:] != b"\n" if done else self._torn

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _translated(path: Path, error: OSError) -> BulkpatchError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return LedgerFailed("BP606", "the disk is full", hint="Free at least 1 MiB, then resume.")
    if error.errno == errno.EIO:
        return LedgerFailed("BP607", "the disk of the run's folder fails", hint="Check the disk, then resume.")
    return _unusable(path, os.strerror(error.errno or 0).lower())


def _unusable(path: Path, why: str) -> InvalidInput:
    hint = "See who put it there, and remove it."
    return InvalidInput(
        [Problem(code="BP122", message=f"{path.name} in the run's folder cannot be written: {why}", hint=hint)]
    )


def _one_line(_: object, __: str, line: MutableMapping[str, Any]) -> str:
    return json.dumps(line, separators=(",", ":")) + "\n"


def _started(event: RunStarted) -> dict[str, Any]:
    limits = event.limits
    return {
        "job": event.job_name,
        "base_url": event.base_url,
        "total": event.total,
        "left": event.left,
        "in_doubt": event.in_doubt,
        "resumed": event.resumed,
        "rate": str(limits.rate),
        "concurrency": limits.concurrency,
        "timeout_s": limits.timeout_s,
        "attempts": limits.attempts,
        "guard": event.guard_text,
    }


def _attempt(event: AttemptSent) -> dict[str, Any]:
    return {"row": event.row, "stage": event.stage.value, "attempt": event.attempt}


def _setback(setback: Setback) -> dict[str, Any]:
    return {
        "row": setback.row,
        "stage": setback.stage.value,
        "attempt": setback.attempt,
        "code": setback.code,
        "error": setback.error,
        "http_status": setback.http_status,
        "latency_ms": _ms(setback.latency_us),
        "wait_ms": _ms(setback.wait_us),
        "counted": setback.counted,
        "maybe_applied": setback.maybe_applied,
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "row": outcome.row,
        "state": outcome.state.value,
        "stage": outcome.stage.value,
        "attempt": outcome.attempt,
        "code": outcome.code,
        "error": outcome.error,
        "http_status": outcome.http_status,
        "latency_ms": _ms(outcome.latency_us),
    }


def _snapshot(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "total": snapshot.total,
        "settled": snapshot.settled,
        "states": {state.value: count for state, count in snapshot.states.items() if count},
        "in_flight": snapshot.in_flight,
        "sends": snapshot.sends,
        "retries": snapshot.retries,
        "throttled": snapshot.throttled,
        "rate_now": round(snapshot.rate_now, 3),
        "p50_ms": snapshot.p50_ms,
        "p95_ms": snapshot.p95_ms,
        "elapsed_s": round(snapshot.elapsed_s, 3),
        "left_s": snapshot.left_s,
        "bound_by": snapshot.bound_by,
        "stopping": snapshot.stopping,
    }


def _ms(us: int | None) -> float | None:
    return None if us is None else us / 1000
