"""What another package's transport does against the port is a fault of its request, in doubt, and ends no run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from transport_rig import PATCH, Sent, run, send

from bulkpatch.engine.system import SystemClock
from bulkpatch.model import Fault, FaultKind, Reply, Request, Result
from bulkpatch.transport.held import DETAIL_CHARS_MAX, LATE_S, HeldTransport
from bulkpatch.transport.rules import BODY_BYTES_MAX

Act = Callable[[Callable[[float], None]], Awaitable[Any]]


class Odd:
    """Another package's: does what ``act`` does."""

    def __init__(self, act: Act) -> None:
        self.act = act
        self.asked = 0

    async def send(self, request: Request, *, timeout_s: float, on_sent: Callable[[float], None]) -> Result:
        """See ports.Transport; or not."""
        assert request
        assert timeout_s
        self.asked += 1
        return await self.act(on_sent)  # type: ignore[no-any-return]  # that is what is under test

    async def aclose(self) -> None:
        """Fails."""
        raise RuntimeError("closing")


def reply(**changed: Any) -> Reply:
    """An answer as it should be."""
    whole = {"status": 200, "headers": {}, "body": b"{}", "sent_at_s": 0.0, "ended_at_s": 0.0}
    return Reply(**{**whole, **changed})


def fault(kind: FaultKind, *, sent: bool, detail: str = "") -> Fault:
    """No answer."""
    return Fault(kind=kind, sent=sent, detail=detail, sent_at_s=0.0, ended_at_s=0.0)


def sends(act: Act, request: Request = PATCH, *, timeout_s: float = 5.0) -> Sent:
    """One request through it."""
    return run(send(HeldTransport(Odd(act), SystemClock()), request, timeout_s=timeout_s))


def gives(result: object, *, leaves: bool = False) -> Act:
    """An act that says ``result``, and before that, if ``leaves``, that the request left."""

    async def act(on_sent: Callable[[float], None]) -> object:
        if leaves:
            on_sent(0.0)
        return result

    return act


@pytest.mark.parametrize("error", [RuntimeError("hunter2"), KeyError("hunter2"), OSError(111, "hunter2")])
def test_what_it_raises_is_doubt_and_told_by_type(error: Exception) -> None:
    async def act(_: Callable[[float], None]) -> None:
        raise error

    result = sends(act).result
    assert isinstance(result, Fault)
    assert (result.kind, result.sent, result.detail) == (FaultKind.UNCLASSIFIED, True, type(error).__name__)


@pytest.mark.parametrize(
    "told",
    [
        None,
        "hunter2",
        200,
        reply(status="200"),
        reply(status=99),
        reply(status=1000),
        reply(body="hunter2"),
        reply(body=bytearray(2)),
        reply(headers=None),
        reply(headers={1: "x"}),
        fault("reset", sent=True),  # type: ignore[arg-type]
        fault(FaultKind.RESET, sent=None),  # type: ignore[arg-type]
        fault(FaultKind.RESET, sent=True, detail=None),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_answer_is_doubt_and_not_shown(told: object) -> None:
    result = sends(gives(told)).result
    assert isinstance(result, Fault)
    assert (result.kind, result.sent) == (FaultKind.UNCLASSIFIED, True)
    assert "hunter2" not in result.detail


def test_an_answer_keeps_what_decides_and_gets_our_times() -> None:
    headers = {"Retry-After": "3", "X-Own": "hunter2", "Location": "https://else.where/path?hunter2"}
    sent = sends(gives(reply(headers=headers), leaves=True))
    assert isinstance(sent.result, Reply)
    assert dict(sent.result.headers) == {"retry-after": "3", "location": "else.where"}
    assert sent.began_s <= sent.result.sent_at_s == sent.told_s[0] <= sent.result.ended_at_s


def test_an_answer_that_is_too_large_is_doubt() -> None:
    assert isinstance(sends(gives(reply(body=bytes(BODY_BYTES_MAX)))).result, Reply)
    result = sends(gives(reply(body=bytes(BODY_BYTES_MAX + 1)))).result
    assert isinstance(result, Fault)
    assert (result.kind, result.sent) == (FaultKind.TOO_LARGE, True)


@pytest.mark.parametrize(
    ("kind", "leaves", "sent"),
    [
        (FaultKind.REFUSED, False, False),
        (FaultKind.REFUSED, True, True),
        (FaultKind.REFUSED_STREAM, True, False),
    ],
)
def test_a_request_that_left_was_sent_unless_the_server_says_that_it_took_nothing(
    kind: FaultKind, *, leaves: bool, sent: bool
) -> None:
    """Else a row would be called unsent that was applied."""
    result = sends(gives(fault(kind, sent=False, detail="x" * 999), leaves=leaves)).result
    assert isinstance(result, Fault)
    assert (result.kind, result.sent, len(result.detail)) == (kind, sent, DETAIL_CHARS_MAX)


def test_that_a_request_left_is_told_once_by_our_clock() -> None:
    """Whatever the transport says of the time, the rate is not paced by it."""

    async def act(on_sent: Callable[[float], None]) -> Reply:
        for at_s in (float("nan"), -1.0, 1e18):
            on_sent(at_s)
        return reply()

    sent = sends(act)
    assert len(sent.told_s) == 1
    assert sent.began_s <= sent.told_s[0] <= sent.began_s + 60.0


def test_one_that_does_not_come_back_is_cancelled_as_late() -> None:
    ended: list[str] = []

    async def act(_: Callable[[float], None]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    result = sends(act, timeout_s=0.1).result
    assert isinstance(result, Fault)
    assert (result.kind, result.sent, ended) == (FaultKind.TIMEOUT, True, ["cancelled"])
    assert result.ended_at_s - result.sent_at_s >= 0.1 + LATE_S


def test_a_path_that_could_mean_another_address_is_not_even_told() -> None:
    odd = Odd(gives(reply()))
    sent = run(send(HeldTransport(odd, SystemClock()), Request(method="GET", path="/destinations/../keys")))
    assert isinstance(sent.result, Fault)
    assert (sent.result.kind, sent.result.sent, odd.asked) == (FaultKind.INVALID_REQUEST, False, 0)


def test_how_it_closes_is_its_own_matter() -> None:
    run(HeldTransport(Odd(gives(None)), SystemClock()).aclose())
