"""Every answer and every fault is judged as the fault matrix of the design says; the numbers are its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkpatch.core.hints import WAIT_S_MAX
from bulkpatch.core.judge import FORBIDDEN_IS_THE_ROW, judge_fault, judge_reply
from bulkpatch.errors import CODES, ExitCode
from bulkpatch.model import Answer, Fault, FaultKind, Reply, Verdict, VerdictKind

SUCCESS = Answer(success=True, facts=b"{}")
ERROR = Answer(success=False, message="that name is taken")
SILENT = Answer(success=False)
GARBLED = Answer(success=False, problem="malformed JSON")
ELSEWHERE = Answer(success=False, echoed_id="dst_stray")

ACCEPTED, RETRY, FINAL, STOP = VerdictKind.ACCEPTED, VerdictKind.RETRY, VerdictKind.FINAL, VerdictKind.HALT
NONE: Mapping[str, str] = {}


def fault(kind: FaultKind, *, sent: bool, detail: str = "") -> Verdict:
    """The verdict on a fault."""
    return judge_fault(Fault(kind=kind, sent=sent, detail=detail, sent_at_s=0, ended_at_s=1))


def reply(
    status: int, answer: Answer | None = SILENT, headers: Mapping[str, str] = NONE, *, accepted: int = 0
) -> Verdict:
    """The verdict on a whole answer."""
    told = Reply(status=status, headers=headers, body=b"", sent_at_s=0, ended_at_s=1)
    return judge_reply(told, answer, wall_us=0, accepted=accepted)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the matrix says of one fault or answer."""

    kind: VerdictKind
    code: str | None
    doubt: bool = False
    never_sent: bool = False
    throttled: bool = False
    exit_code: ExitCode | None = None

    def check(self, verdict: Verdict) -> None:
        """Every field that decides anything is as expected."""
        assert self == Expected(
            kind=verdict.kind,
            code=verdict.code,
            doubt=verdict.maybe_applied,
            never_sent=verdict.never_sent,
            throttled=verdict.throttled,
            exit_code=None if verdict.exit_code is None else ExitCode(verdict.exit_code),
        )
        assert verdict.code is None or verdict.code in CODES
        assert bool(verdict.message) is (verdict.kind is not ACCEPTED)


DONE = Expected(kind=ACCEPTED, code=None)
UNSENT = Expected(kind=RETRY, code="BP407", never_sent=True)
REFUSED = Expected(kind=FINAL, code="BP401")
KEY = Expected(kind=STOP, code="BP402", exit_code=ExitCode.KEY_REFUSED)
LATER = Expected(kind=RETRY, code="BP416")
SLOWER = Expected(kind=RETRY, code="BP406", throttled=True)
TOO_LONG = Expected(kind=STOP, code="BP414", exit_code=ExitCode.STOPPED)


def doubt(code: str) -> Expected:
    """It may have been applied, and is tried again."""
    return Expected(kind=RETRY, code=code, doubt=True)


@pytest.mark.parametrize(
    ("kind", "sent", "expected"),
    [
        pytest.param(FaultKind.DNS, False, UNSENT, id="1"),
        pytest.param(FaultKind.REFUSED, False, UNSENT, id="2"),
        pytest.param(FaultKind.CONNECT, False, UNSENT, id="2b"),
        pytest.param(FaultKind.CONNECT_TIMEOUT, False, UNSENT, id="3"),
        pytest.param(
            FaultKind.TLS_IDENTITY,
            False,
            Expected(kind=STOP, code="BP405", never_sent=True, exit_code=ExitCode.KEY_REFUSED),
            id="4",
        ),
        pytest.param(FaultKind.TLS, False, UNSENT, id="5"),
        pytest.param(FaultKind.RESET, True, doubt("BP408"), id="6-7-8"),
        pytest.param(FaultKind.TRUNCATED, True, doubt("BP408"), id="9"),
        pytest.param(FaultKind.TIMEOUT, True, doubt("BP409"), id="10-11"),
        pytest.param(FaultKind.TOO_LARGE, True, doubt("BP412"), id="15"),
        pytest.param(FaultKind.ENCODED, True, doubt("BP412"), id="15b"),
        pytest.param(FaultKind.PROTOCOL, True, doubt("BP410"), id="27"),
        pytest.param(FaultKind.NO_FILES, False, UNSENT, id="38"),
        pytest.param(FaultKind.REFUSED_STREAM, False, UNSENT, id="refused-stream"),
        pytest.param(FaultKind.UNCLASSIFIED, False, UNSENT, id="unclassified-unsent"),
        pytest.param(FaultKind.UNCLASSIFIED, True, doubt("BP408"), id="unclassified-sent"),
        pytest.param(FaultKind.INVALID_REQUEST, False, Expected(kind=FINAL, code="BP417"), id="invalid-unsent"),
        pytest.param(FaultKind.INVALID_REQUEST, True, doubt("BP408"), id="invalid-sent"),
    ],
)
def test_a_fault_is_judged_by_its_row_of_the_matrix(kind: FaultKind, *, sent: bool, expected: Expected) -> None:
    expected.check(fault(kind, sent=sent))


@pytest.mark.proves("G2")
@pytest.mark.parametrize("kind", sorted(set(FaultKind) - {FaultKind.TLS_IDENTITY}))
def test_whatever_the_fault_what_was_sent_is_in_doubt_and_what_was_not_is_not(kind: FaultKind) -> None:
    assert fault(kind, sent=True).maybe_applied
    assert not fault(kind, sent=False).maybe_applied


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_names_its_detail_and_no_empty_brackets(kind: FaultKind, *, sent: bool) -> None:
    """Such as the host, which row 1 asks for."""
    bare = fault(kind, sent=sent).message
    assert "(" not in bare
    assert fault(kind, sent=sent, detail="api.example").message == f"{bare} (api.example)"


@pytest.mark.parametrize(
    ("kind", "sent", "words"),
    [
        (FaultKind.DNS, False, "the name of the API was not found"),
        (FaultKind.REFUSED, False, "the connection was refused"),
        (FaultKind.CONNECT, False, "the API was not reached"),
        (FaultKind.TOO_LARGE, True, "the answer is too large"),
        (FaultKind.RESET, True, "the connection broke before the whole answer"),
    ],
)
def test_a_fault_is_told_in_its_own_words(kind: FaultKind, *, sent: bool, words: str) -> None:
    assert fault(kind, sent=sent).message == words


@pytest.mark.proves("G3")
@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        pytest.param(200, SUCCESS, DONE, id="200"),
        pytest.param(200, GARBLED, doubt("BP410"), id="12"),
        pytest.param(200, None, doubt("BP410"), id="12-no-body"),
        pytest.param(200, ERROR, REFUSED, id="13"),
        pytest.param(
            200, ELSEWHERE, Expected(kind=STOP, code="BP413", doubt=True, exit_code=ExitCode.STOPPED), id="14"
        ),
        pytest.param(202, GARBLED, doubt("BP410"), id="16-202"),
        pytest.param(204, GARBLED, doubt("BP410"), id="16-204"),
        *[
            pytest.param(
                status, SILENT, Expected(kind=STOP, code="BP403", exit_code=ExitCode.KEY_REFUSED), id=f"17-{status}"
            )
            for status in (300, 301, 302, 303, 304, 307, 308, 399)
        ],
        *[
            pytest.param(status, ERROR, REFUSED, id=f"18-{status}")
            for status in (400, 402, 405, 407, 410, 412, 413, 415, 422)
        ],
        pytest.param(404, SILENT, Expected(kind=FINAL, code="BP404"), id="18-404"),
        pytest.param(401, SILENT, KEY, id="19-401"),
        pytest.param(403, SILENT, KEY, id="19-403"),
        pytest.param(409, ERROR, REFUSED, id="21"),
        *[pytest.param(status, SILENT, LATER, id=f"22-{status}") for status in (408, 421, 425)],
        pytest.param(429, SILENT, SLOWER, id="23"),
        *[pytest.param(status, SILENT, doubt("BP411"), id=f"24-{status}") for status in (500, 501, 502, 504)],
        pytest.param(503, SILENT, LATER, id="25"),
        pytest.param(299, SUCCESS, DONE, id="27-299"),
        pytest.param(299, GARBLED, doubt("BP410"), id="27-299-garbled"),
        pytest.param(499, SILENT, REFUSED, id="27-499"),
        pytest.param(599, SILENT, doubt("BP411"), id="27-599"),
        pytest.param(600, SILENT, doubt("BP410"), id="600"),
        pytest.param(101, SILENT, doubt("BP410"), id="101"),
        pytest.param(199, SILENT, doubt("BP410"), id="199"),
    ],
)
def test_an_answer_is_judged_by_its_row_of_the_matrix(status: int, answer: Answer | None, expected: Expected) -> None:
    verdict = reply(status, answer)
    expected.check(verdict)
    assert verdict.http_status == status


def test_the_constant_is_that_of_the_design() -> None:
    assert FORBIDDEN_IS_THE_ROW == 20


@pytest.mark.parametrize(
    ("status", "accepted", "expected"),
    [
        (403, 0, KEY),
        (403, FORBIDDEN_IS_THE_ROW - 1, KEY),
        (403, FORBIDDEN_IS_THE_ROW, REFUSED),
        (403, 10_000, REFUSED),
        (401, 10_000, KEY),
    ],
)
def test_a_403_is_the_rows_matter_once_the_key_has_worked_a_401_never(
    status: int, accepted: int, expected: Expected
) -> None:
    """Rows 19 and 20."""
    expected.check(reply(status, accepted=accepted))


@pytest.mark.proves("G12")
@pytest.mark.parametrize(
    ("value", "on_429", "on_503", "wait_s"),
    [
        ("30", SLOWER, SLOWER, 30.0),
        ("600", SLOWER, SLOWER, 600.0),
        ("601", TOO_LONG, TOO_LONG, None),
        ("1000000000", TOO_LONG, TOO_LONG, None),
        ("Thu, 01 Jan 1970 00:00:30 GMT", SLOWER, SLOWER, 30.0),
        (None, SLOWER, LATER, None),
        ("0", SLOWER, LATER, None),
        ("-1", SLOWER, LATER, None),
        ("1e9", SLOWER, LATER, None),
        ("soon", SLOWER, LATER, None),
        ("5, 7", SLOWER, LATER, None),
        ("Wed, 31 Dec 1969 23:59:59 GMT", SLOWER, LATER, None),
    ],
)
def test_a_retry_after_is_waited_for_ignored_if_malformed_and_too_long_a_one_stops(
    value: str | None, on_429: Expected, on_503: Expected, wait_s: float | None
) -> None:
    """Row 23 (our clock stands at 1970). A 503 without a usable one is no request to slow down."""
    headers = {} if value is None else {"retry-after": value}
    for status, expected in ((429, on_429), (503, on_503)):
        verdict = reply(status, headers=headers)
        expected.check(verdict)
        assert verdict.retry_after_s == wait_s


@pytest.mark.parametrize("status", [200, 301, 400, 401, 404, 408, 500])
def test_a_retry_after_on_any_other_answer_decides_nothing(status: int) -> None:
    assert reply(status, SUCCESS, {"retry-after": "5"}) == reply(status, SUCCESS)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, SUCCESS),
        (200, ERROR),
        (200, GARBLED),
        (404, SILENT),
        (422, ERROR),
        (408, SILENT),
        (500, SILENT),
        (503, SILENT),
    ],
)
@pytest.mark.parametrize(
    ("value", "pause_s"),
    [("r=0;t=30", 30.0), ("r=0;t=600", 600.0), ("r=0;t=601", 600.0), ("r=3;t=30", None), ("r=0;t=soon", None)],
)
def test_an_empty_quota_pauses_whatever_the_answer_and_changes_nothing_else(
    status: int, answer: Answer, value: str, pause_s: float | None
) -> None:
    """Row 26; the pause is never longer than the longest wait."""
    verdict = reply(status, answer, {"ratelimit": value})
    assert verdict.pause_s == pause_s
    assert (verdict.kind, verdict.code) == (reply(status, answer).kind, reply(status, answer).code)


def test_a_429_pauses_for_the_quota_unless_it_says_itself_how_long() -> None:
    """A Retry-After takes precedence over the quota's reset, as the RateLimit draft says."""
    assert reply(429, headers={"ratelimit": "r=0;t=30"}).pause_s == 30.0
    both = reply(429, headers={"ratelimit": "r=0;t=30", "retry-after": "5"})
    assert (both.pause_s, both.retry_after_s) == (None, 5.0)


@pytest.mark.parametrize(
    ("status", "answer", "headers", "words"),
    [
        (200, GARBLED, {}, "the answer was not understood: malformed JSON (HTTP 200)"),
        (204, None, {}, "the answer was not understood: no body (HTTP 204)"),
        (200, ERROR, {}, "that name is taken"),
        (200, SILENT, {}, "the API answered 2xx, but its status is not success"),
        (307, SILENT, {}, "the base URL redirects (HTTP 307)"),
        (307, SILENT, {"location": "other.example"}, "the base URL redirects to other.example (HTTP 307)"),
        (401, SILENT, {}, "the API refused the key"),
        (401, ERROR, {}, "the API refused the key: that name is taken"),
        (404, None, {}, "no such destination"),
        (404, ERROR, {}, "that name is taken"),
        (422, ERROR, {}, "that name is taken"),
        (422, SILENT, {}, "the API answered HTTP 422"),
        (429, SILENT, {}, "the API asked to slow down (HTTP 429)"),
        (429, SILENT, {"retry-after": "3600"}, "the API asked to wait 3600 s, more than 600 s"),
        (503, SILENT, {}, "the API asked to try again later (HTTP 503)"),
        (500, SILENT, {}, "the API failed (HTTP 500)"),
        (500, ERROR, {}, "the API failed (HTTP 500): that name is taken"),
    ],
)
def test_a_verdict_says_what_happened_in_the_apis_words_if_there_are_any(
    status: int, answer: Answer | None, headers: Mapping[str, str], words: str
) -> None:
    assert reply(status, answer, headers).message == words


def test_the_id_that_came_back_instead_is_not_shown() -> None:
    """It was made by whatever stands between, and may hold anything."""
    assert "dst_stray" not in reply(200, ELSEWHERE).message


@given(
    status=st.integers(100, 700),
    answer=st.sampled_from([None, SUCCESS, ERROR, SILENT, GARBLED, ELSEWHERE]),
    seconds=st.none() | st.integers(0, 2000),
    accepted=st.integers(0, 40),
)
def test_whatever_is_answered_the_verdict_agrees_with_itself(
    status: int, answer: Answer | None, seconds: int | None, accepted: int
) -> None:
    """Only a 2xx is accepted, only a halt ends the run, a wait is within bounds, and 4xx was never applied."""
    headers = {} if seconds is None else {"retry-after": str(seconds)}
    verdict = reply(status, answer, headers, accepted=accepted)
    assert (verdict.kind is ACCEPTED) == (200 <= status < 300 and answer is SUCCESS)
    assert (verdict.exit_code is not None) == (verdict.kind is STOP)
    assert not verdict.never_sent
    assert verdict.retry_after_s is None or 0 < verdict.retry_after_s <= WAIT_S_MAX
    assert verdict.retry_after_s is None or verdict.throttled
    if 300 <= status < 500 or status == 503:
        assert not verdict.maybe_applied
