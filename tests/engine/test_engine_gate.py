"""The gate lets requests leave one by one: not before the pacer, the ceiling and the window allow it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta

import pytest
from engine_rig import WALL_0_US, LoopClock, OpenCeiling, virtually

from bulkpatch.core.adaptive import AdaptiveSpeed
from bulkpatch.core.pacer import Pacer
from bulkpatch.core.quantities import parse_rate
from bulkpatch.core.window import SendWindow
from bulkpatch.core.work import Stop, Why
from bulkpatch.engine.gate import WINDOW_LOOK_S, Gate
from bulkpatch.engine.reading import Turns
from bulkpatch.model import Rate

STOP = Stop(why=Why.SIGNAL, code="BP503", reason="asked", exit_code=130)


class SteppingClock(LoopClock):
    """A wall clock that is set while time goes on."""

    set_by_us = 0

    def wall_us(self) -> int:
        """What the wall says."""
        return super().wall_us() + self.set_by_us


class Bench:
    """A gate at work, and what left through it, when."""

    def __init__(
        self, *, rate: str = "10/s", ceiling: OpenCeiling | None = None, window: SendWindow | None = None
    ) -> None:
        self.clock = SteppingClock()
        self.began_s = self.clock.monotonic()
        held = parse_rate(rate)
        now_s = self.began_s
        self.turns = Turns(Pacer(held, now_s=now_s), AdaptiveSpeed(held.per_s, now_s=now_s))
        self.ceiling = ceiling or OpenCeiling()
        self.gate = Gate(self.turns, self.ceiling, self.clock, window=window)
        self.left: list[tuple[str, float]] = []

    async def send(self, name: str) -> bool:
        """Wait in line, and leave at once when it may."""
        if not await self.gate.pass_through():
            return False
        now_s = self.clock.monotonic()
        self.left.append((name, round(now_s - self.began_s, 3)))
        self.turns.pacer.sent(now_s)
        self.gate.left()
        return True

    @property
    def times(self) -> list[float]:
        """Seconds since the start at which something left."""
        return [at_s for _, at_s in self.left]


def at_work(act: Callable[[Bench], Awaitable[None]], **knobs: object) -> Bench:
    """Do ``act`` while a gate serves its line."""

    async def both() -> Bench:
        bench = Bench(**knobs)  # type: ignore[arg-type]
        serving = asyncio.create_task(bench.gate.run())
        await act(bench)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        return bench

    return virtually(both)


def test_whoever_came_first_leaves_first_and_a_spacing_apart() -> None:
    async def act(bench: Bench) -> None:
        await asyncio.gather(*(bench.send(name) for name in "abcd"))

    bench = at_work(act)
    assert [name for name, _ in bench.left] == ["a", "b", "c", "d"]
    assert bench.times == pytest.approx([0.0, 0.1, 0.2, 0.3], abs=0.01)
    assert bench.ceiling.admitted == 4


def test_one_who_gave_up_waiting_takes_no_place() -> None:
    async def act(bench: Bench) -> None:
        waiting = [asyncio.create_task(bench.send(name)) for name in "abc"]
        await asyncio.sleep(0.05)
        waiting[1].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    bench = at_work(act)
    assert [name for name, _ in bench.left] == ["a", "c"]
    assert bench.times == pytest.approx([0.0, 0.1], abs=0.01)
    assert bench.ceiling.admitted == 2


def test_one_who_gives_up_while_the_ceiling_is_asked_takes_no_place_in_the_rate() -> None:
    """The next is granted its own place, and waits only for its own admission."""

    async def act(bench: Bench) -> None:
        first = asyncio.create_task(bench.send("a"))
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.sleep(0.05)
        assert bench.turns.ready_at(bench.clock.monotonic()) == bench.clock.monotonic()
        await bench.send("b")

    bench = at_work(act, ceiling=OpenCeiling(wait_s=0.03))
    assert [name for name, _ in bench.left] == ["b"]
    assert bench.times == pytest.approx([0.1], abs=0.01)


@pytest.mark.proves("G13")
@pytest.mark.parametrize("wait_s", [0.0, 0.5])
def test_a_stop_turns_everyone_away_and_whoever_comes_later(wait_s: float) -> None:
    """Also while the ceiling is being asked for one of them."""

    async def act(bench: Bench) -> None:
        waiting = [asyncio.create_task(bench.send(name)) for name in "abc"]
        await asyncio.sleep(0.05)
        bench.turns.stopped = STOP
        bench.gate.changed()
        assert await asyncio.gather(*waiting) == [not wait_s, False, False]
        assert not await bench.send("d")

    assert len(at_work(act, ceiling=OpenCeiling(wait_s=wait_s)).left) == (not wait_s)


def test_a_stop_finds_those_gone_who_gave_up_waiting() -> None:
    async def act(bench: Bench) -> None:
        waiting = [asyncio.create_task(bench.send(name)) for name in "abc"]
        await asyncio.sleep(0.05)
        waiting[2].cancel()
        bench.turns.stopped = STOP
        bench.gate.changed()
        assert await asyncio.gather(*waiting[:2]) == [True, False]

    assert at_work(act).times == [0.0]


def test_what_changes_while_the_ceiling_is_asked_holds_for_the_request_that_waits_for_it() -> None:
    """A 429 that comes in meanwhile: nothing leaves before the time it asked for."""

    async def act(bench: Bench) -> None:
        waiting = asyncio.create_task(bench.send("a"))
        await asyncio.sleep(0.1)
        bench.turns.pacer.hold_until(bench.began_s + 30.0)
        await waiting
        await bench.send("b")

    assert at_work(act, ceiling=OpenCeiling(wait_s=0.2)).times == pytest.approx([30.2, 30.4], abs=0.11)


def test_a_rate_that_is_lowered_while_the_ceiling_is_asked_ends_nothing_for_good() -> None:
    """The window is full of what has left: the next goes when it has room, and so does the one after."""

    async def act(bench: Bench) -> None:
        for name in "abcde":
            await bench.send(name)
        bench.ceiling.wait_s = 0.2
        waiting = asyncio.create_task(bench.send("f"))
        await asyncio.sleep(0.15)
        bench.turns.pacer.set_rate(Rate(count=1, unit_s=1))
        bench.turns.speed.set_limit(1.0)
        await waiting
        await bench.send("g")

    times = at_work(act).times
    assert times[4] + 1.0 <= times[5] < times[4] + 1.6
    assert times[5] + 1.0 <= times[6] < times[5] + 1.6


def test_nobody_leaves_while_the_window_of_what_was_granted_is_full() -> None:
    """A granted request counts until it is known when it left; then the line moves by itself."""

    async def act(bench: Bench) -> None:
        assert await bench.gate.pass_through()
        second = asyncio.create_task(bench.send("b"))
        await asyncio.sleep(50.0)
        assert not second.done()
        bench.turns.pacer.sent(bench.clock.monotonic())
        bench.gate.left()
        await second

    assert at_work(act, rate="1/s").times == pytest.approx([51.0], abs=0.01)


def window_from(seconds: float, *, lasts_s: float = 600.0) -> SendWindow:
    """Open every day for a while, from that many seconds after the loop began."""
    opens = datetime.fromtimestamp(WALL_0_US / 1e6, UTC) + timedelta(seconds=seconds)
    closes = opens + timedelta(seconds=lasts_s)
    return SendWindow(days=frozenset(range(7)), start=opens.time(), end=closes.time(), tz=UTC)


def test_nothing_leaves_before_the_window_opens() -> None:
    async def act(bench: Bench) -> None:
        await bench.send("a")
        await bench.send("b")

    assert at_work(act, window=window_from(95.0)).times == pytest.approx([95.0, 95.1], abs=0.01)


def test_what_the_window_closes_on_waits_until_it_opens_again() -> None:
    """Also if it closes while the ceiling is asked."""

    async def act(bench: Bench) -> None:
        await bench.send("a")
        await bench.send("b")

    bench = at_work(act, ceiling=OpenCeiling(wait_s=0.4), window=window_from(-600.0, lasts_s=600.5))
    assert bench.times == pytest.approx([0.4, 86_400.0 - 600.0 + 0.4], abs=0.01)


def test_a_wall_clock_that_is_set_is_seen_within_half_a_minute() -> None:
    """The window is by the wall, so it is looked at again and again."""

    async def act(bench: Bench) -> None:
        waiting = asyncio.create_task(bench.send("a"))
        await asyncio.sleep(100.0)
        bench.clock.set_by_us = 7_200_000_000
        await waiting

    (left_s,) = at_work(act, window=window_from(7_000.0)).times
    assert 100.0 <= left_s <= 100.0 + WINDOW_LOOK_S


def test_a_window_without_an_end_of_its_own_is_the_whole_day() -> None:
    """From midnight to midnight nothing is held."""

    async def act(bench: Bench) -> None:
        await bench.send("a")

    always = SendWindow(days=frozenset(range(7)), start=time(0), end=time(0), tz=UTC)
    assert at_work(act, window=always).times == [0.0]
