"""The request of each stage, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, assert_never

from bulkpatch.core.judge import judge_fault, judge_reply
from bulkpatch.core.work import Work
from bulkpatch.errors import ExitCode
from bulkpatch.model import (
    Answer,
    Intent,
    Operation,
    PendingRow,
    Reply,
    Request,
    Resolved,
    Result,
    Secret,
    Stage,
    Verdict,
    VerdictKind,
)
from bulkpatch.prequel import requests
from bulkpatch.prequel.diff import expectation_failures, vendor_clash
from bulkpatch.prequel.live import MISSING, Live, read_live
from bulkpatch.prequel.replies import read_destination, read_error_message
from bulkpatch.prequel.signing import not_by_patch
from bulkpatch.prequel.verdicts import TestResult, read_test

AS_SAVED: Final = b'{"destination":{}}'
"""The body of a connection test that changes nothing: what is saved is tried."""
_SUCCESS: Final = range(200, 300)
Carried: TypeAlias = Sequence[tuple[tuple[str, ...], Secret]]
"""The secrets in the body of a request, each with its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """What must hold of the live state just before a row is sent; ``drift`` is ``skip``, ``stop`` or ``send``."""

    expect: Mapping[str, Any] = field(default_factory=dict)
    drift: str = "send"


def request_of(stage: Stage, destination_id: str, body: bytes) -> Request:
    """The request by which ``stage`` asks; ``body`` holds the secrets."""
    match stage:
        case Stage.EXPECT:
            return requests.get(destination_id)
        case Stage.PRETEST:
            return requests.test_connection(destination_id, body)
        case Stage.PATCH:
            return requests.patch(destination_id, body)
        case Stage.VERIFY:
            return requests.test_connection(destination_id, AS_SAVED)
        case _:
            assert_never(stage)


def carried(intent: Intent, secrets: Carried) -> Sequence[Resolved]:
    """What is put on record of the secrets in a request: their versions, where the store told them."""
    return [
        Resolved(
            row=intent.row,
            attempt=intent.attempt,
            path=".".join(path),
            reference=secret.reference,
            version=secret.version,
        )
        for path, secret in secrets
        if secret.version is not None
    ]


def judge(work: Work, result: Result, guards: Guards, *, wall_us: int, accepted: int) -> tuple[Verdict, bytes | None]:
    """What ``result`` means for ``work`` in its stage, and the facts kept of it. Its words are not yet scrubbed."""
    if not isinstance(result, Reply):
        verdict = judge_fault(result)
    elif work.stage is Stage.PATCH:
        return _patched(work, result, wall_us=wall_us, accepted=accepted)
    elif work.stage is Stage.EXPECT and result.status in _SUCCESS:
        verdict = _guarded(work, read_live(result, work.op.destination_id), result.status, guards)
    elif work.stage in {Stage.PRETEST, Stage.VERIFY} and _tells(result):
        verdict = _tested(work.stage, result)
    else:
        verdict = _refused(result, wall_us=wall_us, accepted=accepted)
    return (verdict if work.stage is Stage.PATCH else replace(verdict, maybe_applied=False)), None


def _patched(work: Work, reply: Reply, *, wall_us: int, accepted: int) -> tuple[Verdict, bytes | None]:
    if reply.status not in _SUCCESS:
        return _refused(reply, wall_us=wall_us, accepted=accepted), None
    answer = read_destination(reply, work.op.destination_id)
    verdict = judge_reply(reply, answer, wall_us=wall_us, accepted=accepted)
    return verdict, answer.facts if verdict.kind is VerdictKind.ACCEPTED else None


def _refused(reply: Reply, *, wall_us: int, accepted: int) -> Verdict:
    answer = Answer(success=False, message=read_error_message(reply))
    return judge_reply(reply, answer, wall_us=wall_us, accepted=accepted)


def _guarded(work: Work, live: Live | str, status: int, guards: Guards) -> Verdict:
    if isinstance(live, str):
        words = f"the live state was not understood: {live}"
        return Verdict(kind=VerdictKind.RETRY, code="BP410", message=words, http_status=status)
    if unfit := _unfit(work.op, live):
        return Verdict(kind=VerdictKind.FINAL, code=unfit[0], message=unfit[1], http_status=status)
    if failures := expectation_failures(guards.expect, live):
        words = "; ".join(f"{path} is {_shown(found)}, not {_shown(wanted)}" for path, wanted, found in failures)
        return Verdict(kind=VerdictKind.SKIP, code="BP422", message=words, http_status=status)
    if guards.drift != "send" and _changed(work.known, live):
        words = "the destination changed since the plan was made"
        if guards.drift == "stop":
            kind, exit_code = VerdictKind.HALT, int(ExitCode.STOPPED)
            return Verdict(kind=kind, code="BP508", message=words, http_status=status, exit_code=exit_code)
        return Verdict(kind=VerdictKind.SKIP, code="BP508", message=words, http_status=status)
    return Verdict(kind=VerdictKind.ACCEPTED, http_status=status)


def _unfit(operation: Operation, live: Live) -> tuple[str, str] | None:
    """Code and words if the destination is none that the body can be for."""
    if vendor := vendor_clash(operation, live):
        return "BP423", f"the body has fields of {vendor}, and the destination is of {live.vendor}"
    words = not_by_patch(operation, live)
    return None if words is None else ("BP426", words)


def _changed(known: PendingRow, live: Live) -> bool:
    """Whether the destination is another one than the plan saw; where it saw none, nothing can be said."""
    if known.live_digest is None:
        return False
    moved = None not in {known.updated_at, live.updated_at} and known.updated_at != live.updated_at
    return moved or known.live_digest != live.digest


def _tells(reply: Reply) -> bool:
    """Whether the reply to a connection test has a verdict, or says that there is no such test."""
    return reply.status in _SUCCESS or read_test(reply).result is TestResult.MISSING_ROUTE


def _tested(stage: Stage, reply: Reply) -> Verdict:
    verdict, status = read_test(reply), reply.status
    match verdict.result:
        case TestResult.PASSED:
            return Verdict(kind=VerdictKind.ACCEPTED, http_status=status)
        case TestResult.FAILED:
            words = f"the connection test failed: {verdict.message}".rstrip(": ")
            return Verdict(kind=VerdictKind.FINAL, code="BP421", message=words, http_status=status)
        case TestResult.PENDING:
            return Verdict(kind=VerdictKind.LATER, code="BP420", message="the test is under way", http_status=status)
        case TestResult.MISSING_ROUTE:
            kind = VerdictKind.ACCEPTED if stage is Stage.PRETEST else VerdictKind.FINAL
            words = "the API has no connection test" if kind is VerdictKind.FINAL else ""
            return Verdict(kind=kind, code="BP419", message=words, http_status=status)
        case TestResult.NOT_UNDERSTOOD:
            words = f"the answer of the connection test was not understood: {verdict.problem}".rstrip(": ")
            return Verdict(kind=VerdictKind.RETRY, code="BP410", message=words, http_status=status)
        case _:
            assert_never(verdict.result)


def _shown(value: Any) -> str:
    return "not there" if value is MISSING else str(value)[:40]
