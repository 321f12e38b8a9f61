"""What an attempt means, from its status, its body and its headers, or from the lack of them.

Four classes (RFC 9110 §9.2.2): *never applied* and *doubt* are tried again, *final* is not, *halt*
stops the run. A row is in doubt from the first byte that left until a whole answer was understood.
"""

from __future__ import annotations

from dataclasses import replace

from bulkpatch.core.hints import WAIT_S_MAX, quota_pause_s, retry_after_s
from bulkpatch.errors import ExitCode
from bulkpatch.model import Answer, Fault, FaultKind, Reply, Verdict, VerdictKind

FORBIDDEN_IS_THE_ROW = 20
"""Rows accepted before a 403 is the row's matter rather than the key's."""

_OK, _MULTIPLE, _BAD, _SERVER, _BEYOND = 200, 300, 400, 500, 600
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY, _UNAVAILABLE = 401, 403, 404, 429, 503
_ACCEPTED = Verdict(kind=VerdictKind.ACCEPTED, http_status=_OK)
"""What nearly every row meets: made once."""
_TRY_AGAIN = frozenset({408, 421, 425})

_FAULTS = {
    FaultKind.TIMEOUT: ("BP409", "no whole answer in time"),
    FaultKind.TOO_LARGE: ("BP412", "the answer is too large"),
    FaultKind.ENCODED: ("BP412", "the answer is compressed, which was not asked for"),
    FaultKind.PROTOCOL: ("BP410", "the answer is not HTTP"),
    FaultKind.TRUNCATED: ("BP408", "the answer was cut short"),
}
_NEVER_SENT = {
    FaultKind.DNS: "the name of the API was not found",
    FaultKind.REFUSED: "the connection was refused",
    FaultKind.CONNECT_TIMEOUT: "no connection in time",
    FaultKind.TLS: "the TLS handshake failed",
    FaultKind.NO_FILES: "no file descriptor was free",
}


def judge_fault(fault: Fault) -> Verdict:
    """No whole answer: sent or never sent decides."""
    detail = f" ({fault.detail})" if fault.detail else ""
    if fault.kind is FaultKind.TLS_IDENTITY:
        return Verdict(
            kind=VerdictKind.HALT,
            code="BP405",
            message=f"the API is not who it should be{detail}",
            never_sent=True,
            exit_code=ExitCode.KEY_REFUSED,
        )
    if fault.kind is FaultKind.INVALID_REQUEST and not fault.sent:
        return Verdict(kind=VerdictKind.FINAL, code="BP417", message=f"the request cannot be made{detail}")
    if not fault.sent:
        words = _NEVER_SENT.get(fault.kind, "the API was not reached")
        return Verdict(kind=VerdictKind.RETRY, code="BP407", message=words + detail, never_sent=True)
    code, words = _FAULTS.get(fault.kind, ("BP408", "the connection broke before the whole answer"))
    return Verdict(kind=VerdictKind.RETRY, code=code, message=words + detail, maybe_applied=True)


def judge_reply(  # noqa: PLR0911  (one return a class of answers, in the order they are asked)
    reply: Reply, answer: Answer | None, *, wall_us: int, accepted: int
) -> Verdict:
    """A whole answer. ``answer`` is its body, read (2xx), or carries the API's message (others).

    ``accepted`` counts the rows that this process has seen accepted.
    """
    status, message = reply.status, answer.message if answer else ""
    pause_s = quota_pause_s(reply.headers)
    if pause_s is not None and pause_s > WAIT_S_MAX:
        pause_s = WAIT_S_MAX
    if _OK <= status < _MULTIPLE:
        return _judge_success(status, answer, pause_s)
    if _MULTIPLE <= status < _BAD:
        where = reply.headers.get("location", "")
        words = f"the base URL redirects{f' to {where}' if where else ''} (HTTP {status})"
        return _halt("BP403", words, status, ExitCode.KEY_REFUSED)
    if status == _UNAUTHORIZED or (status == _FORBIDDEN and accepted < FORBIDDEN_IS_THE_ROW):
        return _halt("BP402", _with("the API refused the key", message), status, ExitCode.KEY_REFUSED)
    wait_s = retry_after_s(reply.headers, wall_us)
    if status == _TOO_MANY or (status == _UNAVAILABLE and wait_s is not None):
        return _judge_throttle(status, wait_s, pause_s)
    if status == _UNAVAILABLE or status in _TRY_AGAIN:
        words = f"the API asked to try again later (HTTP {status})"
        return Verdict(kind=VerdictKind.RETRY, code="BP416", message=words, http_status=status, pause_s=pause_s)
    if _BAD <= status < _SERVER:
        code = "BP404" if status == _NOT_FOUND else "BP401"
        words = message or ("no such destination" if status == _NOT_FOUND else f"the API answered HTTP {status}")
        return Verdict(kind=VerdictKind.FINAL, code=code, message=words, http_status=status, pause_s=pause_s)
    return Verdict(
        kind=VerdictKind.RETRY,
        code="BP411" if _SERVER <= status < _BEYOND else "BP410",
        message=_with(f"the API failed (HTTP {status})", message),
        http_status=status,
        maybe_applied=True,
        pause_s=pause_s,
    )


def _judge_success(status: int, answer: Answer | None, pause_s: float | None) -> Verdict:
    if answer is None or answer.problem is not None:
        words = f"the answer was not understood: {answer.problem if answer else 'no body'} (HTTP {status})"
        return Verdict(
            kind=VerdictKind.RETRY,
            code="BP410",
            message=words,
            http_status=status,
            maybe_applied=True,
            pause_s=pause_s,
        )
    if answer.echoed_id is not None:
        words = "the API answered for another destination than the one that was asked"
        return _halt("BP413", words, status, ExitCode.STOPPED, maybe_applied=True)
    if not answer.success:
        words = answer.message or "the API answered 2xx, but its status is not success"
        return Verdict(kind=VerdictKind.FINAL, code="BP401", message=words, http_status=status, pause_s=pause_s)
    return _ACCEPTED if status == _OK and pause_s is None else replace(_ACCEPTED, http_status=status, pause_s=pause_s)


def _judge_throttle(status: int, wait_s: float | None, pause_s: float | None) -> Verdict:
    if wait_s is not None and wait_s > WAIT_S_MAX:
        words = f"the API asked to wait {wait_s:.0f} s, more than {WAIT_S_MAX:.0f} s"
        return _halt("BP414", words, status, ExitCode.STOPPED)
    return Verdict(
        kind=VerdictKind.RETRY,
        code="BP406",
        message=f"the API asked to slow down (HTTP {status})",
        http_status=status,
        throttled=True,
        retry_after_s=wait_s,
        pause_s=pause_s if wait_s is None else None,  # Retry-After takes precedence over the quota's reset
    )


def _halt(code: str, message: str, status: int, exit_code: int, *, maybe_applied: bool = False) -> Verdict:
    return Verdict(
        kind=VerdictKind.HALT,
        code=code,
        message=message,
        http_status=status,
        maybe_applied=maybe_applied,
        exit_code=exit_code,
    )


def _with(words: str, message: str) -> str:
    return f"{words}: {message}" if message else words
