"""An API that answers 429 is given what it takes, and little more; one that does so at random slows nothing down."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping

import pytest
from engine_rig import Listed, Run, ScriptedApi, Told, accepts, most_in

from bulkpatch.core.quantities import parse_rate
from bulkpatch.core.work import THROTTLE_BASE_S
from bulkpatch.model import Limits, Request, RowState


def run(count: int, rate: str, api: ScriptedApi) -> Run:
    """``count`` rows at ``rate``, with slots enough for it."""
    source = Listed(count, batch=100)
    limits = Limits(rate=parse_rate(rate), concurrency=64, timeout_s=30.0, attempts=3)
    return Run(source=source, ledger=source.ledger(), api=api, limits=limits)


@pytest.mark.parametrize(
    ("rate", "count", "headers"),
    [("200/s", 1_000, {"retry-after": "1"}), ("1000/s", 2_000, {"retry-after": "1"}), ("1000/s", 2_000, {})],
)
def test_a_429_in_a_hundred_at_random_costs_a_hundredth(rate: str, count: int, headers: Mapping[str, str]) -> None:
    """The rows that were told to wait come last; nobody else waits, and nobody is told of it."""
    chance = random.Random(7)  # noqa: S311  (a fixed seed)

    def flaky(request: Request) -> Told:
        return (429, {}) if chance.random() < 0.01 else accepts(request)

    made = run(count, rate, ScriptedApi(flaky, headers=headers))
    assert made.to_its_end() is None
    times = [at_s for at_s, _ in made.api.asked]
    ideal_s = count / made.limits.rate.per_s
    # The first goes alone, and the last may be told to wait twice.
    assert times[-1] - times[0] < ideal_s / 0.95 + 3 * THROTTLE_BASE_S
    assert not [one for one in made.heard.notices if one.code == "BP406"]
    assert made.api.most_under_way <= made.limits.concurrency


def test_a_limit_that_is_hidden_is_found_and_kept() -> None:
    """Ten a second where fifty were asked for: nine in ten of them used, one in nine refused at most, at the start."""
    admitted: list[float] = []

    def limited(request: Request) -> Told:
        now_s = asyncio.get_running_loop().time()
        if sum(now_s - 1.0 < at_s for at_s in admitted[-10:]) >= 10:
            return 429, {}
        admitted.append(now_s)
        return accepts(request)

    made = run(600, "50/s", ScriptedApi(limited))
    assert made.to_its_end() is None
    times = [at_s for at_s, _ in made.api.asked]
    assert times[-1] - times[0] < 60.0 / 0.9
    assert len(times) < 600 * 1.12


def test_an_api_that_answers_nothing_but_429_is_asked_ever_more_seldom() -> None:
    """Never as many in a minute as are asked for in a second; every row is given up in the end."""
    made = run(20, "50/s", ScriptedApi(lambda _: (429, {}), headers={"retry-after": "5"}))
    made.to_its_end()
    times = [at_s for at_s, _ in made.api.asked]
    assert most_in(times, 60.0) < 50
    assert made.ledger.counts()[RowState.EXHAUSTED] == 20
