"""Answers lost on the way, by mitmproxy between bulkpatch and the API: what may have been applied is never denied."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from judges_rig import judging, program
from program_rig import Bench, fleet_of, serving

FAULTS = Path(__file__).with_name("mitm_faults.py")
ATTEMPTS = 3
EVERY = 4
"""One destination in four is struck: the breaker opens where half of the answers are lost."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """What one destination's PATCHes meet, and what has to come of it."""

    meets: tuple[str, ...]
    state: str
    attempts: int
    effects: int
    code: str | None = None


CASES = (
    Case(meets=("none",), state="accepted", attempts=1, effects=1),
    Case(meets=("kill_after", "none"), state="accepted", attempts=2, effects=2),
    Case(meets=("kill_after",), state="unknown", attempts=3, effects=3, code="BP408"),
    Case(meets=("kill_before", "none"), state="accepted", attempts=2, effects=1),
    Case(meets=("kill_before",), state="unknown", attempts=3, effects=0, code="BP408"),
    Case(meets=("truncated", "none"), state="accepted", attempts=2, effects=2),
    Case(meets=("truncated",), state="unknown", attempts=3, effects=3, code="BP408"),
    Case(meets=("half_json", "none"), state="accepted", attempts=2, effects=2),
    Case(meets=("half_json",), state="unknown", attempts=3, effects=3, code="BP410"),
    Case(meets=("html_502", "none"), state="accepted", attempts=2, effects=2),
    Case(meets=("html_502",), state="unknown", attempts=3, effects=3, code="BP411"),
    Case(meets=("html_503", "none"), state="accepted", attempts=2, effects=1),
    Case(meets=("html_503",), state="exhausted", attempts=3, effects=0, code="BP416"),
    Case(meets=("kill_after", "html_503"), state="unknown", attempts=3, effects=1, code="BP416"),
)


@pytest.mark.proves("G2", "G3")
def test_a_lost_answer_leaves_doubt_and_never_a_denial(bench: Bench, cases: Callable[[int], None]) -> None:
    """Every case of ``CASES`` in one run: state, attempts and effects as declared, and no intent called unsent."""
    fleet = fleet_of(len(CASES) * EVERY)
    struck = fleet.ids[::EVERY]
    faults = json.dumps({one: case.meets for one, case in zip(struck, CASES, strict=True)})
    with serving(fleet) as server:

        def command(port: int) -> list[str]:
            listen = ["--listen-host", "127.0.0.1", "--listen-port", str(port)]
            quiet = ["-q", "--set", f"confdir={bench.folder}/mitmproxy"]
            return [program("mitmdump"), *quiet, "--mode", f"reverse:{server.url}", *listen, "-s", str(FAULTS)]

        with judging(bench.folder, command, environ={"MITM_FAULTS": faults}) as url:
            ended = bench.run("run", bench.renaming(fleet, url, attempts=ATTEMPTS, timeout="20s"), "--yes")
    assert ended.code == 7, ended.err
    outcomes = bench.outcomes()
    found = outcomes.gather_every(EVERY).select("state", "attempts", "error_code").rows()
    assert found == [(case.state, case.attempts, case.code) for case in CASES]
    assert outcomes["state"].to_list().count("accepted") == len(fleet.ids) - sum(
        case.code is not None for case in CASES
    )
    assert [fleet.effects[one] for one in struck] == [case.effects for case in CASES]
    assert [bench.ledger().intents[one] for one in struck] == [case.attempts for case in CASES], "none is withdrawn"
    cases(len(CASES))
