"""Reads keep to the rate, are tried again like everything else, and end where that has an end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from engine_rig import LIMITS, LoopClock, OpenCeiling, ScriptedApi, Told, most_in, shown, virtually
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkpatch.core.adaptive import AdaptiveSpeed
from bulkpatch.core.hints import WAIT_S_MAX
from bulkpatch.core.pacer import Pacer
from bulkpatch.core.quantities import parse_rate
from bulkpatch.engine.reading import THROTTLES_MAX, TOO_LARGE, Reader, Turns
from bulkpatch.errors import BulkpatchError, KeyRefused, Unreachable
from bulkpatch.model import FaultKind, Limits, Reply, Request
from bulkpatch.prequel.requests import get

GET = get("d1")
FINE: Told = (200, shown("d1"))


@dataclass
class Asked:
    """What one question came to."""

    reply: Reply | None
    failure: BulkpatchError | None
    times: list[float]
    speed: float
    reads: int


def ask(*told: Told, headers: Mapping[str, str] | None = None, limits: Limits = LIMITS, chance: float = 0.5) -> Asked:
    """Ask once, answered by ``told`` in turn; the last of them holds on."""
    script = list(told)
    api = ScriptedApi(lambda _: script.pop(0) if len(script) > 1 else script[0], headers=headers)

    async def act() -> Asked:
        clock = LoopClock()
        began_s = clock.monotonic()
        turns = Turns(Pacer(limits.rate, now_s=began_s), AdaptiveSpeed(limits.rate.per_s, now_s=began_s))
        reply, failure = None, None
        reader = Reader(
            transport=api, ceiling=OpenCeiling(), clock=clock, draw=lambda: chance, limits=limits, turns=turns
        )
        async with reader:
            try:
                reply = await reader.ask(GET)
            except BulkpatchError as failed:
                failure = failed
        times = [at_s - began_s for at_s, _ in api.asked]
        return Asked(reply, failure, times, turns.speed.at(clock.monotonic()), reader.reads)

    return virtually(act)


@pytest.mark.parametrize("status", [200, 204, 404, 405, 501, 400, 410, 422])
def test_a_success_and_a_refusal_for_good_are_answers(status: int) -> None:
    """What they mean is for the reader to say; asking again would not help."""
    asked = ask((status, {"message": "m"}))
    assert asked.reply is not None
    assert (asked.reply.status, asked.reads) == (status, 1)


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ((500, {}), "BP411"),
        ((503, {}), "BP416"),
        ((408, {}), "BP416"),
        (FaultKind.REFUSED, "BP407"),
        (FaultKind.TIMEOUT, "BP409"),
        (FaultKind.RESET, "BP408"),
    ],
)
def test_what_passes_is_tried_again_as_often_as_allowed(told: Told, code: str) -> None:
    """The wait doubles; one good answer before that is an answer."""
    asked = ask(told)
    assert isinstance(asked.failure, Unreachable)
    assert (asked.failure.code, asked.reads) == (code, LIMITS.attempts)
    assert asked.failure.message.startswith("the fleet could not be read: ")
    gaps = [after - before - 0.05 for before, after in zip(asked.times, asked.times[1:], strict=False)]
    assert gaps == pytest.approx([0.125, 0.25], abs=0.001)
    again = ask(told, told, FINE)
    assert again.reply is not None
    assert (again.reply.status, again.reads) == (200, 3)


@pytest.mark.parametrize(("status", "code"), [(401, "BP402"), (403, "BP402"), (301, "BP403")])
def test_a_refused_key_and_a_redirect_end_it_at_once(status: int, code: str) -> None:
    asked = ask((status, {}))
    assert isinstance(asked.failure, KeyRefused)
    assert (asked.failure.code, asked.failure.exit_code, asked.reads) == (code, 4, 1)


def test_an_api_that_is_not_who_it_should_be_ends_it_at_once() -> None:
    asked = ask(FaultKind.TLS_IDENTITY)
    assert isinstance(asked.failure, KeyRefused)
    assert (asked.failure.code, asked.reads) == ("BP405", 1)


def test_a_longer_wait_than_is_honoured_is_no_refused_key() -> None:
    """The run can be resumed: exit 3, and one request."""
    asked = ask((429, {}), headers={"retry-after": str(int(WAIT_S_MAX) + 1)})
    assert isinstance(asked.failure, Unreachable)
    assert (asked.failure.code, asked.failure.exit_code, asked.reads) == ("BP414", 3, 1)


def test_a_throttled_read_waits_as_it_is_told_lowers_the_speed_and_uses_up_no_attempt() -> None:
    asked = ask(*[(429, {})] * 4, FINE, headers={"retry-after": "7"})
    assert asked.reply is not None
    gaps = [after - before for before, after in zip(asked.times, asked.times[1:], strict=False)]
    assert gaps == pytest.approx([7.05] * 4, abs=0.02)
    assert asked.speed < LIMITS.rate.per_s


@pytest.mark.parametrize(("many", "waits_s"), [(2, 1.0), (3, 7.0)])
def test_another_read_waits_with_three_that_were_throttled_and_not_with_two(many: int, waits_s: float) -> None:
    """Three in a row mean that the API takes nothing now."""
    told: list[Told] = [(429, {})] * many
    api = ScriptedApi(lambda _: told.pop() if told else FINE, headers={"retry-after": "7"})

    async def act() -> float:
        clock = LoopClock()
        began_s = clock.monotonic()
        turns = Turns(Pacer(LIMITS.rate, now_s=began_s), AdaptiveSpeed(LIMITS.rate.per_s, now_s=began_s))
        reader = Reader(transport=api, ceiling=OpenCeiling(), clock=clock, draw=lambda: 0.0, limits=LIMITS, turns=turns)

        async def later() -> None:
            await asyncio.sleep(1.0)
            await reader.ask(GET)

        async with reader:
            await asyncio.gather(*(reader.ask(GET) for _ in range(many)), later())
        return api.asked[many][0] - began_s

    assert virtually(act) == pytest.approx(waits_s, abs=0.1)


def test_a_read_that_is_throttled_for_ever_is_given_up() -> None:
    asked = ask((429, {}))
    assert isinstance(asked.failure, Unreachable)
    assert (asked.failure.code, asked.reads) == ("BP406", THROTTLES_MAX + 1)


def test_a_quota_that_is_used_up_is_waited_for() -> None:
    """What the answer of a failed read says of the quota holds the next one."""
    asked = ask((500, {}), FINE, headers={"ratelimit": "r=0;t=40"})
    assert asked.times == pytest.approx([0.0, 40.05], abs=0.01)


def test_what_is_too_large_is_so_again() -> None:
    asked = ask(FaultKind.TOO_LARGE)
    assert isinstance(asked.failure, Unreachable)
    assert (asked.failure.code, asked.reads) == (TOO_LARGE, 1)


@pytest.mark.proves("G5")
@settings(max_examples=30, deadline=None)
@given(
    told=st.lists(st.sampled_from([FINE, (500, {}), (429, {}), FaultKind.REFUSED, FaultKind.TIMEOUT]), min_size=1),
    rate=st.sampled_from(["5/s", "40/s", "90/min"]),
    many=st.integers(1, 30),
)
def test_reads_at_once_keep_to_the_rate_whatever_becomes_of_them(told: list[Told], rate: str, many: int) -> None:
    """Every one that left is counted."""
    script = iter(told * 1000)
    api = ScriptedApi(lambda _: next(script))
    held = parse_rate(rate)

    async def act() -> int:
        clock = LoopClock()
        now_s = clock.monotonic()
        turns = Turns(Pacer(held, now_s=now_s), AdaptiveSpeed(held.per_s, now_s=now_s))
        limits = Limits(rate=held, concurrency=many, timeout_s=30.0, attempts=3)
        reader = Reader(transport=api, ceiling=OpenCeiling(), clock=clock, draw=lambda: 0.1, limits=limits, turns=turns)
        async with reader:
            await asyncio.gather(*(reader.ask(GET) for _ in range(many)), return_exceptions=True)
        return reader.reads

    assert virtually(act) == len(api.asked) >= many
    times = [at_s for at_s, _ in api.asked]
    assert most_in(times, 1.0) <= max(1, -(-held.count // held.unit_s))
    assert most_in(times, float(held.unit_s)) <= held.count


class Deaf(ScriptedApi):
    """Breaks before a byte leaves."""

    async def send(self, request: Request, *, timeout_s: float, on_sent: object) -> Reply:
        """Never answers."""
        raise ConnectionError(request.path, timeout_s, on_sent)


def test_a_read_that_never_left_holds_no_place_in_the_window_for_good() -> None:
    """A transport that raises is a bug; the next read is not held up by it."""
    api = Deaf(lambda _: FINE)

    async def act() -> float:
        clock = LoopClock()
        now_s = clock.monotonic()
        held = parse_rate("1/s")
        turns = Turns(Pacer(held, now_s=now_s), AdaptiveSpeed(1.0, now_s=now_s))
        reader = Reader(transport=api, ceiling=OpenCeiling(), clock=clock, draw=lambda: 0.1, limits=LIMITS, turns=turns)
        async with reader:
            with pytest.raises(ConnectionError):
                await reader.ask(GET)
        return turns.ready_at(now_s) - now_s

    assert virtually(act) == pytest.approx(1.01, abs=0.01)


def test_a_reader_that_was_never_entered_can_be_left() -> None:
    async def act() -> None:
        turns = Turns(Pacer(LIMITS.rate, now_s=0.0), AdaptiveSpeed(1.0, now_s=0.0))
        reader = Reader(
            transport=ScriptedApi(lambda _: FINE),
            ceiling=OpenCeiling(),
            clock=LoopClock(),
            draw=lambda: 0.0,
            limits=LIMITS,
            turns=turns,
        )
        await reader.__aexit__(None, None, None)
        assert reader.reads == 0

    virtually(act)
