"""Rows 28 and 29 of the fault matrix on a clock that jumps: an API that is down, and one that is down now and then."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from engine_rig import LIMITS, Listed, Run, Script, ScriptedApi, Told, accepts

from bulkpatch.core.breaker import MIN_ANSWERS
from bulkpatch.model import FaultKind, Request, RowState

RETRIES_MAX = 35
"""Of the design: the quota of 500, 14 for each retry."""


@pytest.mark.parametrize("told", [(500, None), (502, None), FaultKind.RESET, FaultKind.TIMEOUT])
def test_fault_28_an_outage_is_noticed_within_twenty_answers_and_stops_the_run(told: Told) -> None:
    """Exit 3 with the API named as down; few requests for that, no row given up, and a resume sends them all."""

    def script(_: Request) -> Told:
        return told

    source = Listed(300)
    run = Run(source=source, ledger=source.ledger(), api=ScriptedApi(script), limits=replace(LIMITS, attempts=5))
    stop = run.to_its_end()
    assert stop is not None
    assert (stop.code, stop.exit_code) == ("BP502", 3)
    assert "the API seems to be down" in stop.reason
    times = [at_s for at_s, _ in run.api.asked]
    before_it_opened = [at_s for at_s in times if at_s < times[0] + 60.0]
    assert len(before_it_opened) <= MIN_ANSWERS + LIMITS.concurrency
    assert len(times) <= RETRIES_MAX + LIMITS.concurrency
    assert set(run.ledger.counts()) <= {RowState.PENDING, RowState.IN_FLIGHT}
    again = run.resumed(api=ScriptedApi(accepts))
    assert again.to_its_end() is None
    assert again.ledger.counts() == {RowState.ACCEPTED: 300}


def one_in_five(seed: int) -> Script:
    """A fifth of the answers is 502."""
    chance = random.Random(seed)  # noqa: S311  (a fixed seed)
    return lambda request: (502, None) if chance.random() < 0.2 else accepts(request)


def test_fault_29_a_brownout_finishes_within_its_budget_of_retries() -> None:
    """Every row is accepted or, five times unlucky, unknown; no breaker opens, nothing is retried in vain."""
    for seed in range(5):
        source = Listed(100)
        run = Run(source=source, ledger=source.ledger(), api=ScriptedApi(one_in_five(seed)))
        run.limits = replace(LIMITS, attempts=5)
        assert run.to_its_end() is None, seed
        counts = run.ledger.counts()
        assert set(counts) <= {RowState.ACCEPTED, RowState.UNKNOWN}
        assert counts[RowState.ACCEPTED] >= 98
        assert len(run.api.asked) <= 100 / 0.8 * 1.4
        assert not [notice for notice in run.heard.notices if notice.code in {"BP502", "BP505"}]
