"""Where a run stands, in words: the verdict names what is waited for and who ends it, and time left adds up."""

from __future__ import annotations

from typing import Any

import pytest
from observe_rig import snapshot

from bulkpatch.model import RowState, WaveView
from bulkpatch.observe.standing import Tone, all_parts, at_wave, held, pace, reached, verdict
from bulkpatch.observe.words import gate_words

GOOD = {RowState.ACCEPTED: 10}


def wave(**changes: Any) -> WaveView:
    """The second of three."""
    fields: dict[str, Any] = {"number": 2, "waves": 3, "rows": 60, "tried": 40, "failed": 1, "phase": "sending"}
    return WaveView(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "tone", "words"),
    [
        ({"states": GOOD}, Tone.GOOD, "sending; no row has failed"),
        ({"states": {RowState.UNKNOWN: 1}}, Tone.BAD, "sending; 1 row has failed"),
        ({"states": {RowState.ACCEPTED: 12_000}}, Tone.GOOD, "every row is settled; no row has failed"),
        ({"opens_in_s": 3_700.0}, Tone.WAIT, "the send window is closed; it opens in 1 h 1 min"),
        ({"wave": wave(phase="soaking", waits_s=8.0)}, Tone.WAIT, "wave 2 is soaking: 8 s to go"),
        (
            {"wave": wave(phase="watching transfers", waits_s=7_200.0)},
            Tone.WAIT,
            "wave 2: its transfers are watched, at most 2 h to go",
        ),
        (
            {"wave": wave(phase="awaiting approval", reason="the gate asks for approval")},
            Tone.WAIT,
            "wave 2: the gate asks for approval; bulkpatch approve r-1, or abort",
        ),
        ({"wave": wave(), "states": GOOD}, Tone.GOOD, "sending; no row has failed"),
        ({"paused": True, "opens_in_s": 5.0}, Tone.WAIT, "paused; bulkpatch continue r-1 goes on"),
        ({"paused": True, "stopping": "aborted by ann"}, Tone.WAIT, "stopping: aborted by ann"),
    ],
)
def test_the_verdict_says_what_is_waited_for(changes: dict[str, Any], tone: Tone, words: str) -> None:
    """And what a person may type to end it; what stops the run comes before all."""
    assert verdict(snapshot(**changes), "r-1") == (tone, words)


def test_time_left_is_sending_and_soaks_and_what_nobody_knows() -> None:
    """Each part is named as soon as it is not sending alone; once the run stops none is left to tell."""
    assert reached(snapshot(left_s=45.0))[-1] == "about 45 s left"
    told = reached(snapshot(left_s=345.0, soaks_s=300.0, approvals=1))[-2:]
    assert told == ["about 5 min 45 s left", "45 s sending + 5 min soaks + 1 approval"]
    told = reached(snapshot(left_s=3_645.0, opens_in_s=3_600.0, approvals=2))[-2:]
    assert told == ["about 1 h left", "45 s sending + 1 h until the window opens + 2 approvals"]
    assert reached(snapshot(left_s=None))[-1] == "time left unknown"
    assert "left" not in reached(snapshot(stopping="why"))[-1]


def test_the_rate_stands_against_what_was_asked_for() -> None:
    """Also where the API takes less: then that is what holds, with its number."""
    slowed = snapshot(rate_asked=100.0, rate_limit=66.5, rate_now=71.4, bound_by="the API's own limit")
    assert pace(slowed)[0] == "71.4/s of 100/s"
    assert held(slowed) == ["held by the API's own limit, the API takes 66.5/s"]
    assert pace(snapshot(rate_asked=20.0, rate_now=0.8))[0] == "0.8/s of 20/s"  # not 48/min of 20/s
    assert pace(snapshot(rate_asked=0.5, rate_now=0.4))[0] == "24/min of 30/min"
    assert held(snapshot()) == ["held by the rate"]
    assert held(snapshot(total=6_033)) == []


def test_a_wave_and_its_gate() -> None:
    """How far it is and what must hold; behind the last one there is no gate."""
    gated = wave(name="a tenth", allowed="1%", soak_s=300.0, approve=True, transfers=0.95)
    assert at_wave(gated) == [
        "wave 2 of 3, a tenth",
        "40 of 60 rows tried, 1 failed",
        "gate: at most 1% failed, 5 min of soak, 95% of transfers good, approval",
    ]
    assert at_wave(wave(last=True)) == ["wave 2 of 3", "40 of 60 rows tried, 1 failed"]
    assert gate_words(allowed="", soak_s=0.0, transfers=None, window_s=None, approve=False) == "nothing"


def test_one_line_says_all_of_it() -> None:
    """For a CI log, where nothing is painted over."""
    assert " · ".join(all_parts(snapshot(wave=wave()))) == (
        "6,033/12,000 · 50.2% · 2 min 4 s so far · about 1 h 6 min left · sending; 5 rows have failed"
        " · accepted 6,016 · noop 12 · rejected 4 · unknown 1 · 49.4/s of 50/s · 8 in flight · retries 31 · 429s 10"
        " · p50 118 ms, p95 2.6 s · held by the rate · wave 2 of 3"
    )
