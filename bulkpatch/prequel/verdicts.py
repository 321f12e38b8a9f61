"""What the API says of connection tests and transfers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from bulkpatch.model import Reply
from bulkpatch.prequel.facts import parse_time
from bulkpatch.prequel.replies import SUCCESSES, read_envelope, read_error_message, read_success

_WORDS_OF_ERRORS: Final = ("message", "title", "error_code", "error", "trace")
"""What an error object says. ``blame`` alone says nothing: unclassified it is ``empty`` or ``unknown``."""


class TestResult(StrEnum):
    """How a connection test went."""

    PASSED = "passed"
    FAILED = "failed"
    PENDING = "pending"
    MISSING_ROUTE = "missing_route"
    NOT_UNDERSTOOD = "not_understood"


_RESULTS: Final = {
    "success": TestResult.PASSED,
    "failed": TestResult.FAILED,
    "failure": TestResult.FAILED,
    "error": TestResult.FAILED,
    "pending": TestResult.PENDING,
    "running": TestResult.PENDING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestVerdict:
    """A connection test, judged. Prints without the API's own text, which is not yet scrubbed.

    ``problem`` names, in our words, why an answer is not understood (None: it is).
    """

    result: TestResult
    message: str = field(default="", repr=False)
    error_code: str | None = field(default=None, repr=False)
    blame: str | None = field(default=None, repr=False)
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One transfer. Times are wall time; None where the API gives none that can be read."""

    id: str
    status: str | None = None
    submitted_at_us: int | None = None
    started_at_us: int | None = None
    ended_at_us: int | None = None


def read_test(reply: Reply) -> TestVerdict:
    """The verdict of a connection test. Never raises.

    ``data.status`` is the verdict, and an error object is a failure. The envelope's status says only
    whether the call was well formed, so it can spoil a pass and never make one. That is why ``data.destination``
    without ``data.status`` is not understood: taken for a pass, it would pass every failed test. 404 and 405
    are a missing route; a destination that is not there answers 404 as well. No other HTTP error is a verdict.
    """
    if reply.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        return TestVerdict(result=TestResult.MISSING_ROUTE, message=read_error_message(reply))
    if reply.status not in SUCCESSES:
        return _not_understood(f"HTTP status {reply.status}", read_error_message(reply))
    envelope = read_envelope(reply)
    if isinstance(envelope, str):
        return _not_understood(envelope)
    data = envelope.get("data")
    return _verdict(envelope, data if isinstance(data, dict) else {})


def read_transfers(reply: Reply) -> tuple[Transfer, ...] | str:
    """The transfers on the page of a list, in its order, or the problem in words. Never raises."""
    envelope = read_success(reply)
    if isinstance(envelope, str):
        return envelope
    entries = envelope["data"].get("transfers")
    if not isinstance(entries, list):
        return "no list of transfers in it"
    found = tuple(transfer for transfer in map(_transfer, entries) if transfer)
    return found if len(found) == len(entries) else "a transfer without an id in the list"


def _verdict(envelope: Mapping[str, Any], data: Mapping[str, Any]) -> TestVerdict:
    error = _error(data) or _error(envelope)
    message = _first_text(error, "message", "title", "error") or _first_text(data, "message")
    message = message or _first_text(envelope, "message")
    result = TestResult.FAILED if error else _RESULTS.get(_first_text(data, "status").lower())
    if result is None:
        return _not_understood("no verdict that is known in data.status", message)
    if result is not TestResult.FAILED and envelope["status"] != "success":
        return _not_understood("a status that is not success, beside a test that did not fail", message)
    return TestVerdict(
        result=result,
        message=message,
        error_code=_first_text(error, "error_code") or None,
        blame=_first_text(error, "blame") or None,
    )


def _not_understood(problem: str, message: str = "") -> TestVerdict:
    return TestVerdict(result=TestResult.NOT_UNDERSTOOD, message=message, problem=problem)


def _error(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The error in ``node``, as an object; empty if there is none, or one that says nothing."""
    match node.get("error"):
        case dict() as error if any(error.get(name) for name in _WORDS_OF_ERRORS):
            return error
        case str() as text:
            return {"message": text} if text else {}
        case _:
            return {}


def _transfer(entry: Any) -> Transfer | None:
    if not isinstance(entry, dict) or not _first_text(entry, "id"):
        return None
    return Transfer(
        id=entry["id"],
        status=_first_text(entry, "status") or None,
        submitted_at_us=parse_time(_first_text(entry, "submitted_at")),
        started_at_us=parse_time(_first_text(entry, "started_at")),
        ended_at_us=parse_time(_first_text(entry, "ended_at")),
    )


def _first_text(node: Mapping[str, Any], *names: str) -> str:
    """The first of ``names`` that is text and not empty in ``node``; ``""`` if none is."""
    return next((value for name in names if isinstance(value := node.get(name), str) and value), "")
