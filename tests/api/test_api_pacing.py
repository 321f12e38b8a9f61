"""The rate across two processes of one run, whatever happened to the clocks between them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from api_rig import fleet_of

from bulkpatch.api.pacing import RECENT_S, RESUME_HOLD_S, resumed_pace
from bulkpatch.core.quantities import parse_rate
from bulkpatch.ledger.memory import MemoryLedger
from bulkpatch.model import Intent, RunHeader, SeedRow, Stage

LEFT_US, LEFT_S = 1_780_000_000_000_000, 5_000.0
"""When the last of the first process's requests left, by both clocks."""
ROWS = 20
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
    """Twenty requests left, a tenth of a second apart."""
    ids = fleet_of(ROWS).ids
    seeds = [SeedRow(row=n, destination_id=one, digest=b"", fields=("name",)) for n, one in enumerate(ids, start=1)]
    ledger = MemoryLedger(HEADER, [seeds])
    ledger.commit(
        [
            Intent(
                row=n, attempt=1, stage=Stage.PATCH, at_us=LEFT_US - (ROWS - n) * 100_000, at_s=LEFT_S - (ROWS - n) / 10
            )
            for n in range(1, ROWS + 1)
        ]
    )
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
    assert pacer.ready_at(now_s) - now_s < RECENT_S
