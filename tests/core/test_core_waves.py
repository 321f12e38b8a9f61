"""No more of the fleet is touched than the gate of each wave lets through."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bulkpatch.core.quantities import parse_threshold
from bulkpatch.core.waves import CANARY_MAX, Phase, WaveKeeper, WaveState
from bulkpatch.model import Gate


def keeper(*, failed_max: int | str | None = None, rows: int = 100, **known: Any) -> WaveKeeper:
    """A wave and its gate: what is not said of the gate is said of the wave."""
    parts = {
        part: known.pop(part) for part in ("soak_s", "approve", "transfers", "window_s", "plugin") if part in known
    }
    limit = None if failed_max is None else parse_threshold(failed_max)
    return WaveKeeper(WaveState(number=2, rows=rows, gate=Gate(failed=limit, **parts), **known))


def watching(**known: Any) -> WaveKeeper:
    """A wave whose transfers are watched from second 100 on."""
    watched = keeper(transfers=0.95, **known)
    assert watched.drained(100.0) is None
    assert watched.phase is Phase.WATCHING
    return watched


def test_a_wave_begins_without_a_word_and_is_no_other_than_it_says() -> None:
    assert CANARY_MAX == 5
    assert (keeper().reason, keeper().phase, keeper().looked) == ("", Phase.SENDING, False)
    plain = WaveState(number=1, rows=1)
    assert (plain.first, plain.last, plain.passed, plain.gate) == (False, False, False, Gate())


# ── failures ─────────────────────────────────────────────────────────────────────────────────────


def test_a_number_of_failures_stops_at_the_first_that_is_too_many() -> None:
    """It will not get less; and the words say what happened and what was allowed."""
    wave = keeper(failed_max=1, name="canary")
    assert wave.settled(failed=True) is None
    assert wave.settled(failed=False) is None
    assert wave.settled(failed=True) == "wave 2 (canary): 2 of 3 rows tried failed; its gate allows 1"


def test_a_share_of_failures_is_judged_when_the_wave_is_drained() -> None:
    """Not before: the first row that fails is all of those tried."""
    wave = keeper(failed_max="50%")
    assert [wave.settled(failed=True), wave.settled(failed=False), wave.settled(failed=True)] == [None] * 3
    assert wave.drained(0.0) == "wave 2: 2 of 3 rows tried failed; its gate allows 50%"
    assert wave.phase is Phase.SENDING


def test_a_share_that_is_met_exactly_holds() -> None:
    wave = keeper(failed_max="29%", tried=100, failed=29)
    assert wave.drained(0.0) is None
    assert keeper(failed_max="29%", tried=100, failed=30).drained(0.0) is not None


def test_without_a_limit_no_failure_stops() -> None:
    wave = keeper()
    assert [wave.settled(failed=True) for _ in range(50)] == [None] * 50
    assert wave.drained(0.0) is None
    assert wave.phase is Phase.PASSED


def test_what_earlier_processes_saw_fail_counts() -> None:
    wave = keeper(failed_max=2, tried=10, failed=2)
    assert wave.settled(failed=False) is None
    assert wave.settled(failed=True) == "wave 2: 3 of 12 rows tried failed; its gate allows 2"


@pytest.mark.parametrize("failed_max", [None, 50, "100%"])
@pytest.mark.parametrize(
    ("rows", "first", "last", "canary"),
    [
        (1, True, False, True),
        (CANARY_MAX, True, False, True),
        (CANARY_MAX + 1, True, False, False),
        (1, False, False, False),
        (1, True, True, False),
    ],
)
def test_one_failure_in_a_small_first_wave_stops_whatever_its_gate_says(
    failed_max: int | str | None, rows: int, *, first: bool, last: bool, canary: bool
) -> None:
    """But a run of one wave has no canary: its guard decides."""
    wave = keeper(failed_max=failed_max, rows=rows, first=first, last=last)
    words = "wave 2: 1 of 1 rows tried failed; its gate allows 0"
    assert wave.settled(failed=True) == (words if canary else None)
    resumed = keeper(failed_max=failed_max, rows=rows, first=first, last=last, tried=1, failed=1)
    assert resumed.drained(0.0) == (words if canary else None)


# ── soaking ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", [{"last": True}, {"passed": True}])
def test_nothing_is_waited_for_behind_the_last_wave_or_a_gate_that_was_passed(how: dict[str, bool]) -> None:
    wave = keeper(soak_s=300.0, approve=True, transfers=0.9, **how)
    assert wave.drained(0.0) is None
    assert (wave.phase, wave.wakes_at(), wave.awaits) == (Phase.PASSED, math.inf, False)


def test_a_wave_soaks_for_its_time_and_not_a_moment_less() -> None:
    wave = keeper(soak_s=300.0)
    assert wave.wakes_at() == math.inf
    assert wave.drained(100.0) is None
    assert (wave.phase, wave.wakes_at()) == (Phase.SOAKING, 400.0)
    wave.tick(399.999)
    assert wave.phase is Phase.SOAKING
    wave.tick(400.0)
    assert (wave.phase, wave.wakes_at()) == (Phase.PASSED, math.inf)


@pytest.mark.parametrize(
    ("before_s", "phase", "until_s"),
    [
        (0.0, Phase.SOAKING, 400.0),
        (299.0, Phase.SOAKING, 101.0),
        (300.0, Phase.PASSED, math.inf),
        (9e9, Phase.PASSED, math.inf),
        (-3600.0, Phase.SOAKING, 400.0),
    ],
)
def test_what_soaked_before_a_resume_counts(before_s: float, phase: Phase, until_s: float) -> None:
    """And a wall clock that was put back does not make it longer."""
    wave = keeper(soak_s=300.0)
    wave.drained(100.0, ended_before_s=before_s)
    assert (wave.phase, wave.wakes_at()) == (phase, until_s)


def test_a_tick_before_the_wave_is_drained_changes_nothing() -> None:
    wave = keeper()
    wave.tick(1e9)
    assert wave.phase is Phase.SENDING


def test_a_gate_that_asks_for_a_person_waits_for_one() -> None:
    wave = keeper(soak_s=10.0, approve=True)
    wave.drained(0.0)
    with pytest.raises(AssertionError, match="nothing waits for approval"):
        wave.approve()
    wave.tick(10.0)
    assert (wave.phase, wave.awaits, wave.reason) == (Phase.AWAITING, True, "the gate asks for approval")
    wave.tick(1e9)
    assert wave.awaits
    wave.approve()
    assert (wave.phase, wave.awaits, wave.reason) == (Phase.PASSED, False, "")


def test_a_plugin_is_asked_once_all_else_holds_and_before_a_person() -> None:
    wave = keeper(soak_s=10.0, transfers=0.9, plugin="ticket", approve=True)
    wave.drained(0.0)
    with pytest.raises(AssertionError, match="no plugin was asked"):
        wave.decided()
    wave.tick(10.0)
    wave.transfers_seen(11.0, succeeded=9, ended=10, expected=10)
    assert (wave.phase, wave.awaits, wave.wakes_at()) == (Phase.ASKING, False, math.inf)
    wave.decided()
    assert (wave.phase, wave.reason) == (Phase.AWAITING, "the gate asks for approval")
    wave.approve()
    assert wave.phase is Phase.PASSED


def test_a_person_who_takes_the_transfers_as_they_are_does_not_speak_for_the_plugin() -> None:
    """And is not asked a second time for the same wave."""
    wave = watching(plugin="ticket", approve=True)
    wave.transfers_seen(100.0, succeeded=1, ended=20, expected=20)
    wave.approve()
    assert (wave.phase, wave.reason) == (Phase.ASKING, "")
    wave.decided()
    assert wave.phase is Phase.PASSED


def test_a_gate_of_a_plugin_alone_passes_once_it_says_so() -> None:
    wave = keeper(plugin="ticket")
    wave.drained(0.0)
    assert wave.phase is Phase.ASKING
    wave.decided()
    assert (wave.phase, wave.reason) == (Phase.PASSED, "")


# ── transfers ────────────────────────────────────────────────────────────────────────────────────


def test_transfers_are_watched_after_the_soak_for_the_gates_window() -> None:
    wave = keeper(soak_s=60.0, transfers=0.95, window_s=7200.0)
    wave.drained(0.0)
    wave.transfers_seen(30.0, succeeded=9, ended=9, expected=9)
    assert wave.phase is Phase.SOAKING
    wave.tick(61.0)
    assert (wave.phase, wave.wakes_at(), wave.transfers_until_s) == (Phase.WATCHING, 7261.0, 7261.0)


def test_a_look_is_remembered_whatever_it_shows() -> None:
    """So that transfers are not started a second time."""
    wave = watching()
    assert not wave.looked
    wave.transfers_seen(100.0, succeeded=0, ended=0, expected=3)
    assert wave.looked


@pytest.mark.parametrize(
    ("now_s", "succeeded", "ended", "expected", "phase"),
    [
        (100.0, 0, 0, 20, Phase.WATCHING),
        (100.0, 19, 19, 20, Phase.WATCHING),
        (100.0, 20, 20, 20, Phase.PASSED),
        (100.0, 19, 20, 20, Phase.PASSED),
        (100.0, 18, 20, 20, Phase.AWAITING),
        (7299.999, 18, 19, 20, Phase.WATCHING),
        (7300.0, 19, 19, 20, Phase.PASSED),
        (7300.0, 17, 18, 20, Phase.AWAITING),
        (7300.0, 18, 18, 20, Phase.PASSED),
        (7300.0, 0, 0, 20, Phase.AWAITING),
        (100.0, 0, 0, 0, Phase.AWAITING),
    ],
)
def test_enough_of_the_transfers_that_ended_must_have_succeeded(
    now_s: float, succeeded: int, ended: int, expected: int, phase: Phase
) -> None:
    """Judged when all ended or the window is over; if too few did, or none came, a person decides."""
    wave = watching()
    wave.transfers_seen(now_s, succeeded=succeeded, ended=ended, expected=expected)
    assert wave.phase is phase


@pytest.mark.parametrize(
    ("share", "ended", "least"), [(0.07, 100, 7), (0.29, 100, 29), (1.0, 3, 3), (0.0, 5, 0), (0.5, 3, 2)]
)
def test_a_share_of_transfers_is_rounded_up_as_exact_arithmetic_does(share: float, ended: int, least: int) -> None:
    for succeeded, phase in ((least, Phase.PASSED), (least - 1, Phase.AWAITING)):
        wave = keeper(transfers=share)
        wave.drained(0.0)
        wave.transfers_seen(0.0, succeeded=succeeded, ended=ended, expected=ended)
        assert wave.phase is phase


def test_a_person_is_told_what_the_transfers_came_to() -> None:
    wave = watching()
    wave.transfers_seen(100.0, succeeded=17, ended=20, expected=20)
    assert wave.reason == "3 of 20 transfers since the change failed; 95% must succeed"
    wave = watching()
    wave.transfers_seen(7300.0, succeeded=0, ended=0, expected=20)
    assert wave.reason == "no transfer began after the change and ended in its window, so nothing can be said"


def test_transfers_that_went_well_still_wait_for_a_person_if_the_gate_asks_for_one() -> None:
    wave = watching(approve=True)
    wave.transfers_seen(100.0, succeeded=20, ended=20, expected=20)
    assert (wave.phase, wave.reason) == (Phase.AWAITING, "the gate asks for approval")


def test_a_look_that_comes_too_late_changes_nothing() -> None:
    """A person has approved meanwhile, or the gate was never about transfers."""
    wave = watching()
    wave.transfers_seen(7300.0, succeeded=0, ended=0, expected=20)
    wave.approve()
    wave.transfers_seen(7301.0, succeeded=0, ended=20, expected=20)
    assert wave.phase is Phase.PASSED
