"""The rate across two processes of one run: what may have left lately counts, whatever happened to the clocks."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bulkpatch.api.pacing import RESUME_HOLD_S, resumed_pace
from bulkpatch.core.quantities import parse_rate
from bulkpatch.ledger.memory import MemoryLedger
from bulkpatch.model import Intent, Rate, Record, RunHeader, SeedRow, Setback, Stage

HEADER = RunHeader(
    run_id="r",
    job_name="j",
    job_path="j",
    job_sha256="",
    inputs=(),
    input_sha256="",
    base_url="",
    tool_version="",
    created_at_us=0,
)
PER_MINUTE = Rate(count=2, unit_s=60)
LEFT_US, LEFT_S = 1_780_000_000_000_000, 5_000.0
"""When the last of the first process's requests left, by both clocks."""
ROWS = 20


@dataclass
class Later:
    """ports.Clock: ``wall_s`` after the beginning of time, on another boot."""

    wall_s: float
    now_s: float = 7.0

    def monotonic(self) -> float:
        """Of this boot."""
        return self.now_s

    def wall_us(self) -> int:
        """Goes on."""
        return round(self.wall_s * 1e6)


def left(*records: Record) -> MemoryLedger:
    """A ledger with these records of some rows."""
    ledger = MemoryLedger(
        HEADER, [[SeedRow(row=row, destination_id=f"d{row}", digest=b"", fields=()) for row in (1, 2)]]
    )
    ledger.commit(records)
    return ledger


def intent(row: int, at_s: float) -> Intent:
    """Made durable at ``at_s``."""
    return Intent(row=row, attempt=1, stage=Stage.PATCH, at_us=round(at_s * 1e6), at_s=at_s)


def answer(row: int, at_s: float) -> Setback:
    """Its answer came at ``at_s``."""
    return Setback(row=row, attempt=1, stage=Stage.PATCH, at_us=round(at_s * 1e6), code="BP411", error="500")


def ready_in_s(ledger: MemoryLedger, clock: Later) -> float:
    """How long the first request of a resume waits."""
    return resumed_pace(PER_MINUTE, clock, ledger).pacer.ready_at(clock.now_s) - clock.now_s


@pytest.mark.proves("G5")
def test_an_intent_that_waited_for_its_turn_counts_from_its_answer() -> None:
    """At two a minute an intent is made 30 s ahead: by its own time it would be out of the window too soon."""
    ledger = left(intent(1, 100.0), answer(1, 130.0), intent(2, 130.0), answer(2, 160.0))
    assert ready_in_s(ledger, Later(162.0)) == pytest.approx(28.15, abs=0.01)  # the place after the last one


@pytest.mark.proves("G5")
def test_a_request_without_an_answer_may_have_left_just_now() -> None:
    ledger = left(intent(1, 100.0), answer(1, 130.0), intent(2, 100.0))
    assert ready_in_s(ledger, Later(180.0)) == pytest.approx(30.15, abs=0.01)  # nothing but its place in the rate


@pytest.mark.proves("G5", "G16")
@pytest.mark.parametrize("wall_s", [0.0, 161.0, 7_360.0], ids=["set back", "as it was", "set forward"])
def test_a_resume_waits_a_second_whatever_the_wall_clock_says(wall_s: float) -> None:
    ledger = left(intent(1, 100.0), answer(1, 160.0))
    assert ready_in_s(ledger, Later(wall_s)) >= RESUME_HOLD_S


@pytest.mark.proves("G5")
@pytest.mark.parametrize(("alone_for_s", "waits_s"), [(0.0, 1.0), (0.4, 0.6), (5.0, 0.0)])
def test_the_second_begins_when_no_other_process_can_send(alone_for_s: float, waits_s: float) -> None:
    """What a resume does under its lock before it makes its pace is not waited for again."""
    clock = Later(1e6)
    pace = resumed_pace(PER_MINUTE, clock, left(), alone_s=clock.now_s - alone_for_s)
    assert pace.pacer.ready_at(clock.now_s) - clock.now_s == pytest.approx(waits_s)


@dataclass
class SetClock:
    """Both clocks of the second process, so long after."""

    monotonic_s: float
    wall_s: float

    def monotonic(self) -> float:
        """As it was set."""
        return LEFT_S + self.monotonic_s

    def wall_us(self) -> int:
        """As it was set."""
        return LEFT_US + round(self.wall_s * 1e6)


def sent() -> MemoryLedger:
    """Twenty requests left, a tenth of a second apart, and were answered at once."""
    seeds = [SeedRow(row=row, destination_id=f"d{row}", digest=b"", fields=()) for row in range(1, ROWS + 1)]
    ledger = MemoryLedger(HEADER, [seeds])
    for row in range(1, ROWS + 1):
        at_us, at_s = LEFT_US - (ROWS - row) * 100_000, LEFT_S - (ROWS - row) / 10
        ledger.commit([Intent(row=row, attempt=1, stage=Stage.PATCH, at_us=at_us, at_s=at_s), answer(row, at_us / 1e6)])
    return ledger


@pytest.mark.proves("G5", "G16")
@pytest.mark.parametrize("wall_s", [0.5, 3600.5, -3599.5, 1e8], ids=["right", "hour-on", "hour-back", "years-on"])
def test_a_resume_at_once_counts_what_left_whatever_the_wall_clock_says(wall_s: float) -> None:
    """The first request is held back for a second, and the minute's window is full of those that left."""
    clock = SetClock(0.5, wall_s)
    now_s = clock.monotonic()
    pacer = resumed_pace(parse_rate("20/min"), clock, sent()).pacer
    assert pacer.ready_at(now_s) >= now_s + 60 - 2 - 0.5
    pacer = resumed_pace(parse_rate("100/s"), clock, sent()).pacer
    assert pacer.ready_at(now_s) >= now_s + RESUME_HOLD_S


@pytest.mark.parametrize("monotonic_s", [3600.0, 3600.0 - LEFT_S])
def test_what_left_long_ago_holds_nothing_back(monotonic_s: float) -> None:
    """On the same boot, or after another one, whose monotonic clock is behind."""
    clock = SetClock(monotonic_s, 3600.0)
    now_s = clock.monotonic()
    pacer = resumed_pace(parse_rate("20/min"), clock, sent()).pacer
    assert pacer.ready_at(now_s) - now_s == pytest.approx(RESUME_HOLD_S)


@pytest.mark.proves("G5")
@pytest.mark.parametrize("rate", ["10/s", "90/min", "60/min", "1000/h"])
def test_a_window_over_the_kill_holds_no_more_than_the_rate(rate: str) -> None:
    """The first process used its window up, on another boot; the second sends as fast as it may, from half speed."""
    limit, clock = parse_rate(rate), Later(10_000.0)
    before = [0.1 + at * limit.unit_s / limit.count for at in range(limit.count)]
    seeds = [SeedRow(row=row, destination_id=f"d{row}", digest=b"", fields=()) for row in range(1, limit.count + 1)]
    ledger = MemoryLedger(HEADER, [seeds])
    for row, ago_s in enumerate(before, start=1):
        ledger.commit([intent(row, clock.wall_s - ago_s), answer(row, clock.wall_s - ago_s)])
    pace = resumed_pace(limit, clock, ledger)
    assert pace.speed.at(clock.now_s) == pytest.approx(limit.per_s / 2)
    left_s, now_s = [clock.now_s - ago_s for ago_s in before], clock.now_s
    for _ in range(limit.count):
        now_s = pace.pacer.ready_at(now_s)
        pace.pacer.grant(now_s)
        pace.pacer.sent(now_s)
        left_s.append(now_s)
    ordered = sorted(left_s)
    for first_s, last_s in zip(ordered, ordered[limit.count :], strict=False):
        assert last_s - first_s >= limit.unit_s


@pytest.mark.proves("G5", "G16")
def test_a_wall_clock_that_is_set_on_while_an_answer_is_waited_for_hides_no_request() -> None:
    """Its answer is then yet to come by the monotonic clock, and long ago by the wall's: it may have left just now."""
    ledger = left(intent(1, 100.0), answer(1, 7_310.0))
    clock = Later(wall_s=14_530.0, now_s=120.0)
    assert resumed_pace(PER_MINUTE, clock, ledger).pacer.ready_at(120.0) - 120.0 == pytest.approx(30.15, abs=0.01)
