"""When requests leave depends on the monotonic clock, the rate and the draws, and on nothing else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from engine_rig import LIMITS, WALL_0_US, Listed, LoopClock, Run, ScriptedApi, Told, accepts, id_in, most_in

from bulkpatch.core.quantities import parse_rate
from bulkpatch.engine.system import SystemClock
from bulkpatch.model import Request, RowState
from bulkpatch.ports import Clock

HOUR_US = 3_600_000_000
JUMP_S = 1000.2
"""On the clock of the loop, which begins at 1000: in the middle of a run."""


def clock_of(wall: Callable[[float], int]) -> type[Clock]:
    """The loop's clock with another wall clock, told the loop's time."""

    class Odd(LoopClock):
        def wall_us(self) -> int:
            """As ``wall`` says."""
            return wall(self.monotonic())

    return Odd


def shaky() -> Callable[[Request], Told]:
    """An API that fails the first attempt of every third row, and throttles that of every tenth."""
    asked: Counter[str] = Counter()

    def script(request: Request) -> Told:
        name = id_in(request)
        asked[name] += 1
        number = int(name[1:])
        if asked[name] == 1 and number % 10 == 0:
            return 429, {}
        return (500, {}) if asked[name] == 1 and number % 3 == 0 else accepts(request)

    return script


def trace(*, clock: Callable[[], Clock] = LoopClock, seed: int = 1) -> Sequence[object]:
    """When which request of a run left, and where each row ended after how many attempts."""
    source = Listed(40)
    api = ScriptedApi(shaky(), headers={"retry-after": "2"})
    run = Run(source=source, ledger=source.ledger(), api=api, clock=clock, seed=seed, most_s=600.0)
    with suppress(TimeoutError):
        run.to_its_end()
    assert run.ledger.counts() == {RowState.ACCEPTED: 40}, "the run did not come to its end"
    ends = [(one.row, one.state, one.attempts) for batch in run.ledger.outcome_rows() for one in batch]
    return [*((at_s, request.path) for at_s, request in api.asked), *ends]


@pytest.mark.proves("G16")
def test_the_clock_that_paces_is_the_monotonic_one() -> None:
    """Between two looks of its own stands what it says; no wall clock does that since 1970."""
    before_s = time.monotonic()
    assert before_s <= SystemClock().monotonic() <= time.monotonic()


@pytest.mark.proves("G16")
@pytest.mark.parametrize(
    "wall",
    [
        pytest.param(lambda now_s: WALL_0_US + HOUR_US * (now_s > JUMP_S), id="an hour on"),
        pytest.param(lambda now_s: WALL_0_US - HOUR_US * (now_s > JUMP_S), id="an hour back"),
        pytest.param(lambda now_s: WALL_0_US if now_s <= JUMP_S else 0, id="to 1970"),
        pytest.param(lambda now_s: WALL_0_US if now_s <= JUMP_S else 2**31 * 1_000_000, id="to 2038"),
        pytest.param(lambda _: 0, id="stands in 1970"),
    ],
)
def test_a_wall_clock_that_jumps_changes_no_send(wall: Callable[[float], int]) -> None:
    """Spacing, backoffs and a Retry-After: each request leaves when it does on a clock that nobody sets."""
    assert trace(clock=clock_of(wall)) == trace()


@pytest.mark.proves("G18")
def test_the_same_seed_makes_the_same_trace(cases: Callable[[int], None]) -> None:
    """Each request at the same moment, each row in the same end; another seed makes another trace."""
    traces = [trace(seed=seed) for seed in range(10)]
    assert traces == [trace(seed=seed) for seed in range(10)]
    assert len({str(one) for one in traces}) == len(traces)
    cases(len(traces))


@pytest.mark.proves("G5")
def test_retries_wait_for_a_place_in_the_rate() -> None:
    """Every third row fails at first: its second attempt leaves as far from the others as the first did."""
    source = Listed(60)
    asked: Counter[str] = Counter()

    def script(request: Request) -> Told:
        name = id_in(request)
        asked[name] += 1
        return (503, {}) if asked[name] == 1 and int(name[1:]) % 3 == 0 else accepts(request)

    limits = replace(LIMITS, rate=parse_rate("20/s"), concurrency=16)
    run = Run(source=source, ledger=source.ledger(), api=ScriptedApi(script), limits=limits)
    assert run.to_its_end() is None
    assert len(run.api.asked) == 80
    assert most_in([at_s for at_s, _ in run.api.asked], 1.0) <= 20
